package embedded

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/logstorage"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/internal/durable"
	"github.com/tallylog/tally/server/retention"
)

// class is a class of retention: a storage of its own, because logstorage deletes nothing but all the rows of a day. The class
// "default" lies in rows/, the others in classes/<name>/.
type class struct {
	name string
	dir  string

	// use is held for reading by whoever uses ls, and for writing while it is closed to remove a day.
	use sync.RWMutex
	ls  *logstorage.Storage

	stored  map[seqDay]struct{} // pairs behind the checkpoint that were on disk at Open
	columns columns             // of the rows that may still wait in a buffer of ls
	rows    *logstorage.LogRows // of the batch that is being appended; nil without any
}

// stats adds the figures of the class to st.
func (c *class) stats(st *logstorage.StorageStats) {
	c.use.RLock()
	defer c.use.RUnlock()
	c.ls.UpdateStats(st)
}

// plan is the file "classes" of the store: by which rules the records were, and are, divided among the classes, and what is known of each
// class. It is written before the first record is divided by it.
type plan struct {
	// Epochs in their order. The rules of one hold for records up to its Upto, those of the last for all that follow. An epoch is kept
	// while a record that may be fed again falls into it: its rows must go where they went before, or they would be stored twice.
	Epochs  []epoch               `json:"epochs"`
	Classes map[string]*classPlan `json:"classes"`
}

type epoch struct {
	Upto  uint64          `json:"upto,omitempty"`
	Rules retention.Rules `json:"rules"`
}

// classPlan outlives the rule of its class: what lies there is kept as long as the rule said last.
type classPlan struct {
	retention.Limit
	Removed string `json:"removed,omitempty"` // the newest day that was removed
}

const planFile = "classes.json"

func (s *Store) readPlan() error {
	s.plan = plan{Classes: map[string]*classPlan{}}
	b, err := os.ReadFile(filepath.Join(s.dir, planFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(b, &s.plan)
	}
	if err != nil {
		return fmt.Errorf("cannot read the classes of the store: %q: %w", filepath.Join(s.dir, planFile), err)
	}
	return nil
}

// writePlan replaces the file. The caller holds planMu.
func (s *Store) writePlan() error {
	b, err := json.MarshalIndent(&s.plan, "", "  ")
	if err != nil {
		return err
	}
	if err := durable.Replace(filepath.Join(s.dir, planFile), append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("cannot write the classes of the store: %w", err)
	}
	return nil
}

// openClasses opens a storage for each class that has a rule, or rows.
func (s *Store) openClasses() error {
	if err := s.readPlan(); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(s.dir, "trash")); err != nil {
		return fmt.Errorf("cannot clear what was removed: %w", err)
	}
	names := []string{retention.Default}
	dirs, err := os.ReadDir(filepath.Join(s.dir, "classes"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot list the classes of the store: %w", err)
	}
	for _, d := range dirs {
		if !hasDays(filepath.Join(s.dir, "classes", d.Name(), "rows")) && !s.ruled(d.Name()) {
			delete(s.plan.Classes, d.Name())
			if err := os.RemoveAll(filepath.Join(s.dir, "classes", d.Name())); err != nil {
				return fmt.Errorf("cannot remove the empty class %q: %w", d.Name(), err)
			}
			continue
		}
		names = append(names, d.Name())
	}
	for _, r := range s.o.Rules {
		if !slices.Contains(names, r.Name) {
			names = append(names, r.Name)
		}
	}
	for _, name := range names {
		c := &class{name: name, dir: filepath.Join(s.dir, "classes", name, "rows")}
		if name == retention.Default {
			c.dir = filepath.Join(s.dir, "rows")
		}
		if err := os.MkdirAll(filepath.Dir(c.dir), 0o755); err != nil {
			return fmt.Errorf("cannot create folder %q: %w", filepath.Dir(c.dir), err)
		}
		c.ls = s.openRows(c)
		s.classes = append(s.classes, c)
	}
	return nil
}

func (s *Store) openRows(c *class) *logstorage.Storage {
	return logstorage.MustOpenStorage(c.dir, &logstorage.StorageConfig{
		Retention: forever, FlushInterval: s.o.FlushInterval, FutureRetention: s.o.FutureRetention,
	})
}

// forever leaves every removal to Remove, so that it can be said before and after.
const forever = 100 * 365 * 24 * time.Hour

// ruled tells whether rules that may still be used name the class.
func (s *Store) ruled(name string) bool {
	named := func(r retention.Rule) bool { return r.Name == name }
	for _, e := range s.plan.Epochs {
		if slices.ContainsFunc(e.Rules, named) && (e.Upto == 0 || e.Upto > s.o.After) {
			return true
		}
	}
	return slices.ContainsFunc(s.o.Rules, named)
}

func hasDays(rows string) bool {
	days, _ := os.ReadDir(filepath.Join(rows, "partitions"))
	return len(days) > 0
}

// planEpochs puts the rules in force for records that were never fed. highest is the highest sequence number on disk: those up to it may
// be there in part.
func (s *Store) planEpochs(highest uint64) error {
	s.planMu.Lock()
	defer s.planMu.Unlock()
	p := &s.plan
	var kept []epoch
	for _, e := range p.Epochs {
		if e.Upto == 0 || e.Upto > s.o.After {
			kept = append(kept, e)
		}
	}
	switch n := len(kept); {
	case n > 0 && slices.Equal(kept[n-1].Rules, s.o.Rules):
	case n > 0 && highest > s.o.After:
		kept[n-1].Upto = highest
		if n > 1 && kept[n-2].Upto >= highest { // the rules of the last were never used
			kept = kept[:n-1]
		}
		kept = append(kept, epoch{Rules: s.o.Rules})
	case n == 0 && highest > s.o.After && len(s.o.Rules) > 0: // a store of a time without rules
		kept = []epoch{{Upto: highest}, {Rules: s.o.Rules}}
	default:
		kept = []epoch{{Rules: s.o.Rules}}
	}
	p.Epochs = kept
	limits := s.o.limits()
	for name, l := range limits {
		if p.Classes[name] == nil {
			p.Classes[name] = &classPlan{}
		}
		p.Classes[name].Limit = l
	}
	return s.writePlan()
}

// classOf returns the class that an event of a record goes to.
func (s *Store) classOf(seq uint64, tenant uint32, e *event.Event) *class {
	if s.chosen != nil {
		return s.classes[s.chosen(e)]
	}
	if len(s.classes) == 1 {
		return s.classes[0]
	}
	rules := s.plan.Epochs[len(s.plan.Epochs)-1].Rules
	for _, e := range s.plan.Epochs {
		if seq <= e.Upto {
			rules = e.Rules
			break
		}
	}
	name := rules.Class(s.o.TenantName(tenant), e)
	for _, c := range s.classes {
		if c.name == name {
			return c
		}
	}
	return s.classes[0] // the class of an epoch is always open
}
