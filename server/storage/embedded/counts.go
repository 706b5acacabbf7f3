package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/logstorage"

	"github.com/tallylog/tally/internal/durable"
	"github.com/tallylog/tally/server/query"
	"github.com/tallylog/tally/server/storage"
)

// countsFile keeps what was counted of days that are over, so that days are read once, not after every start. It may be removed.
const countsFile = "counts.json"

// counted is the result of a count, good while the day has as many rows as it had then.
type counted struct {
	Rows   int64           `json:"rows"`
	Shares []storage.Share `json:"shares"`
}

func (s *Store) readCounts() {
	b, err := os.ReadFile(filepath.Join(s.dir, countsFile))
	if err == nil {
		err = json.Unmarshal(b, &s.counts)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.o.Log.Warn("what was counted of closed days cannot be read; they are counted again", "file", countsFile, "error", err)
	}
	if err != nil || s.counts == nil {
		s.counts = map[string]counted{}
	}
}

// writeCounts replaces the file. One that cannot be written costs a count at the next start and nothing else.
func (s *Store) writeCounts(parts []storage.Partition) {
	s.countMu.Lock()
	defer s.countMu.Unlock()
	for name := range s.counts {
		if !slices.ContainsFunc(parts, func(p storage.Partition) bool { return p.Name == name }) {
			delete(s.counts, name)
		}
	}
	b, err := json.Marshal(s.counts)
	if err == nil {
		err = durable.Replace(filepath.Join(s.dir, countsFile), b, 0o644)
	}
	if err != nil {
		s.o.Log.Warn("cannot keep what was counted of closed days", "error", err)
	}
}

// rowsOn is the number of rows in the parts of a day that are on disk, as logstorage notes it beside each. A part that a merge takes away
// meanwhile is not counted, nor is what is only in memory.
func rowsOn(day string) (rows int64) {
	parts, _ := os.ReadDir(filepath.Join(day, "datadb"))
	for _, p := range parts {
		var meta struct{ RowsCount int64 }
		b, err := os.ReadFile(filepath.Join(day, "datadb", p.Name(), "metadata.json"))
		if err == nil && !strings.HasSuffix(p.Name(), ".tmp") && json.Unmarshal(b, &meta) == nil {
			rows += meta.RowsCount
		}
	}
	return rows
}

const namespaceField = "kubernetes.namespace"

// share counts the rows of days by tenant and namespace. What is known of a day that is over is noted at once: a count that is cut off goes
// on from there.
func (s *Store) share(ctx context.Context, parts []storage.Partition) (err error) {
	news := false
	defer func() {
		if news {
			s.writeCounts(parts)
		}
	}()
	today := time.Now().UTC().Format(time.DateOnly)
	for i := range parts {
		p := &parts[i]
		s.countMu.Lock()
		was, ok := s.counts[p.Name]
		s.countMu.Unlock()
		onDisk := p.Rows
		if ok && was.Rows == onDisk {
			p.Shares = slices.Clone(was.Shares)
		} else if err := s.countDay(ctx, p); err != nil {
			return fmt.Errorf("cannot count the rows of %q: %w", p.Name, err)
		} else if p.Day < today && p.Rows == onDisk { // else some are in memory only
			s.countMu.Lock()
			s.counts[p.Name] = counted{p.Rows, slices.Clone(p.Shares)}
			s.countMu.Unlock()
			news = true
		}
		for k := range p.Shares {
			p.Shares[k].Bytes = int64(float64(p.Bytes) * float64(p.Shares[k].Rows) / float64(p.Rows))
		}
	}
	return nil
}

// countDay reads the namespaces of all rows of a day.
func (s *Store) countDay(ctx context.Context, p *storage.Partition) error {
	c := s.classes[slices.IndexFunc(s.classes, func(c *class) bool { return c.name == p.Class })]
	end, _ := storage.DayEnd(p.Day)
	text := timeFilter(end.AddDate(0, 0, -1).UnixNano(), end.UnixNano()) + " | stats by (" + column(namespaceField) + ") count() as " + colResult
	p.Rows = 0
	for _, tenant := range s.tenants.all() {
		err := s.runIn(ctx, []*class{c}, []logstorage.TenantID{tenant}, text, func(b *block) error {
			counts, names := b.column(colResult), b.column(columnOf(namespaceField))
			for i := range b.n {
				n, err := strconv.ParseInt(counts[i], 10, 64)
				if err != nil {
					return fmt.Errorf("cannot read %q rows: %w", counts[i], err)
				}
				p.Rows += n
				p.Shares = append(p.Shares, storage.Share{Tenant: tenant.AccountID, Namespace: strings.Clone(query.FieldValue(names[i])), Rows: n})
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
