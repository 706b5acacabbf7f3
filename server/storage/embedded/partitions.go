package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/internal/durable"
	"github.com/tallylog/tally/internal/failpoint"
	"github.com/tallylog/tally/server/backup"
	"github.com/tallylog/tally/server/retention"
	"github.com/tallylog/tally/server/storage"
)

var _ storage.Partitioned = (*Store)(nil)

// dayName is how logstorage names the folder of a day.
const dayName = "20060102"

// Partitions is storage.Partitioned's. A partition is a day of a class; its name is class/yyyymmdd.
func (s *Store) Partitions(ctx context.Context, counted bool) ([]storage.Partition, error) {
	if err := s.settle(); err != nil {
		return nil, err
	}
	var all []storage.Partition
	for _, c := range s.classes {
		list, err := c.days()
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	if counted {
		if err := s.share(ctx, all); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(all, func(a, b storage.Partition) int { return strings.Compare(a.Day, b.Day) })
	return all, nil
}

// days lists the days on disk with their sizes.
func (c *class) days() ([]storage.Partition, error) {
	dirs, err := os.ReadDir(filepath.Join(c.dir, "partitions"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot list the days of class %q: %w", c.name, err)
	}
	var list []storage.Partition
	for _, d := range dirs {
		day, err := time.Parse(dayName, d.Name())
		if err != nil {
			continue
		}
		p := storage.Partition{Name: c.name + "/" + d.Name(), Class: c.name, Day: day.Format(time.DateOnly)}
		p.Bytes, p.Rows = size(filepath.Join(c.dir, "partitions", d.Name())), rowsOn(filepath.Join(c.dir, "partitions", d.Name()))
		list = append(list, p)
	}
	return list, nil
}

// size adds up the files below dir; those that a merge takes away meanwhile do not count.
func size(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}

// Remove is storage.Partitioned's. logstorage cannot remove a single day, so the class is closed meanwhile: for tens of milliseconds, but
// searches that began before are waited for, and those that come wait.
func (s *Store) Remove(ctx context.Context, name string) error {
	if err := s.gate.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	className, folder, _ := strings.Cut(name, "/")
	day, err := time.Parse(dayName, folder)
	i := slices.IndexFunc(s.classes, func(c *class) bool { return c.name == className })
	if err != nil || i < 0 {
		return fmt.Errorf("cannot remove %q: there is no such partition", name)
	}
	c := s.classes[i]
	if err := s.noteRemoved(c.name, day.Format(time.DateOnly)); err != nil {
		return err
	}
	failpoint.Here("remove.noted")
	trash := filepath.Join(s.dir, "trash", className+"-"+folder)
	if err = os.MkdirAll(filepath.Dir(trash), 0o755); err == nil {
		err = s.takeOut(ctx, c, folder, trash)
	}
	if err == nil { // searches go on meanwhile
		err = os.RemoveAll(trash)
	}
	if err != nil {
		return fmt.Errorf("cannot remove %q: %w", name, err)
	}
	failpoint.Here("remove.deleted")
	return nil
}

// takeOut moves the folder of a day out of a class, whole or not at all, also over a crash: what lies in the trash goes at the next start.
func (s *Store) takeOut(ctx context.Context, c *class, folder, trash string) error {
	if err := lockWithin(ctx, c); err != nil {
		return err
	}
	defer c.use.Unlock()
	c.ls.MustClose()
	defer func() { c.ls = s.openRows(c) }()
	failpoint.Here("remove.closed")
	err := os.Rename(filepath.Join(c.dir, "partitions", folder), trash)
	failpoint.Here("remove.renamed")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return durable.SyncDir(filepath.Join(c.dir, "partitions"))
}

// patience is how long a removal gives the searches under way before it makes new ones wait.
const patience = 5 * time.Second

func lockWithin(ctx context.Context, c *class) error {
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if c.use.TryLock() {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	c.use.Lock()
	return nil
}

// noteRemoved keeps the newest day that was removed of a class, for Horizon, before it goes.
func (s *Store) noteRemoved(class, day string) error {
	s.planMu.Lock()
	defer s.planMu.Unlock()
	p := s.plan.Classes[class]
	if p == nil {
		p = &classPlan{}
		s.plan.Classes[class] = p
	}
	if p.Removed >= day {
		return nil
	}
	p.Removed = day
	return s.writePlan()
}

// Horizon is storage.Partitioned's.
func (s *Store) Horizon(tenant uint32, e *event.Event) int64 {
	name := s.classOf(^uint64(0), tenant, e).name
	limit := s.limit(name)
	at := int64(0)
	if limit.Age > 0 {
		at = time.Now().Add(-limit.Age).UnixNano()
	}
	s.planMu.Lock()
	defer s.planMu.Unlock()
	if p := s.plan.Classes[name]; p != nil {
		if end, ok := storage.DayEnd(p.Removed); ok {
			at = max(at, end.UnixNano())
		}
	}
	return at
}

// limit is what holds for a class.
func (s *Store) limit(class string) retention.Limit {
	s.planMu.Lock()
	defer s.planMu.Unlock()
	if p := s.plan.Classes[class]; p != nil {
		return p.Limit
	}
	return retention.Limit{}
}

// Limits are those of all classes, also of those that have rows but no rule any more.
func (s *Store) Limits() map[string]retention.Limit {
	s.planMu.Lock()
	defer s.planMu.Unlock()
	all := map[string]retention.Limit{}
	for _, c := range s.classes {
		if p := s.plan.Classes[c.name]; p != nil {
			all[c.name] = p.Limit
		}
	}
	return all
}

// Snapshot links the files of the store into dir, which must be on the same file system. What was durable before is in there; rows that
// are appended meanwhile may be or not. Each class is closed for the moment of its linking, as by Remove.
func (s *Store) Snapshot(ctx context.Context, dir string) error {
	if err := s.gate.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	for _, c := range s.classes {
		if err := s.snapshot(ctx, c, dir); err != nil {
			return err
		}
	}
	s.planMu.Lock()
	defer s.planMu.Unlock()
	for _, name := range []string{planFile, "tenants"} {
		// Copied, for tenants is appended to.
		b, err := os.ReadFile(filepath.Join(s.dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o644)
		}
		if err != nil {
			return fmt.Errorf("cannot copy %q: %w", name, err)
		}
	}
	return nil
}

func (s *Store) snapshot(ctx context.Context, c *class, dir string) error {
	if err := lockWithin(ctx, c); err != nil {
		return err
	}
	defer c.use.Unlock()
	rel, err := filepath.Rel(s.dir, c.dir)
	if err != nil {
		return err
	}
	c.ls.MustClose()
	defer func() { c.ls = s.openRows(c) }()
	// The caches are made again; every other file of logstorage is written once and then only replaced or removed.
	return backup.Link(c.dir, filepath.Join(dir, rel), func(name string) bool { return name == "cache" || name == "flock.lock" })
}
