package embedded

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/logstorage"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/query"
	"github.com/tallylog/tally/server/storage"
)

// syncPoll is how often Sync looks whether the rows have left the memory.
const syncPoll = 20 * time.Millisecond

// flush makes every batch that was handed over searchable. Callers that come together share one flush.
func (s *Store) flush() {
	want := s.appended.Load()
	s.flushMu.Lock()
	defer s.flushMu.Unlock()
	if s.flushed >= want {
		return
	}
	want = s.appended.Load()
	for _, c := range s.classes {
		c.use.RLock()
		c.ls.DebugFlush()
		c.use.RUnlock()
	}
	s.flushed = want
}

// settle makes what was appended before part of the answers that follow. Every search begins with it, but a walk over many
// pages does so only once: each flush makes a part in memory, however small.
func (s *Store) settle() error {
	if err := s.gate.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	s.flush()
	return nil
}

// Sync is storage.Store's. logstorage has no call for it: rows are made parts in memory, which its background writes to disk
// each FlushInterval and counts; the index of streams has no such count, so two intervals are waited out. That is about
// two seconds when something was appended since the last call, and nothing otherwise.
func (s *Store) Sync(ctx context.Context) error {
	if err := s.gate.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	want := s.appended.Load()
	if s.synced == want {
		return nil
	}
	s.flush()
	indexed := time.Now().Add(2*s.o.FlushInterval + 10*syncPoll)
	for {
		if st := s.stats(); st.InmemoryParts == 0 && time.Now().After(indexed) {
			s.synced = want
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("cannot sync: %w", ctx.Err())
		case <-s.stop.Done():
			return errClosed
		case <-time.After(syncPoll):
		}
	}
}

// findStored notes, for each class, the pairs of batch and day behind the checkpoint that are on disk, and returns the highest of those
// batches. It reads the column headers of every block, and the rows of those blocks alone whose sequence numbers reach that far.
func (s *Store) findStored(ctx context.Context) (highest uint64, err error) {
	tenants := s.tenants.all()
	text := fmt.Sprintf(`%s:>%d | stats by (%s, _time:1d) count() as n`, colSeq, s.o.After, colSeq)
	for _, c := range s.classes {
		c.stored = map[seqDay]struct{}{}
		if len(tenants) == 0 {
			continue
		}
		err := s.runIn(ctx, []*class{c}, tenants, text, func(b *block) error {
			seqs, days := b.column(colSeq), b.column(colTime)
			for i := range b.n {
				seq, err := strconv.ParseUint(seqs[i], 10, 64)
				if err != nil {
					return fmt.Errorf("sequence number %q of a stored row: %w", seqs[i], err)
				}
				day, ok := event.ParseTime(days[i])
				if !ok {
					return fmt.Errorf("day %q of a stored row is no time", days[i])
				}
				c.stored[seqDay{seq, day / nsPerDay}] = struct{}{}
				highest = max(highest, seq)
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return highest, nil
}

// idsAtOnce is the number of ids in one search: more than some hundreds cost one pass over the ids of the time range
// whatever their number, because the bloom filters of nearly all blocks then match by chance.
const idsAtOnce = 2048

// hasWindows are the ages by which Has goes back: what comes twice mostly comes soon again.
var hasWindows = []time.Duration{time.Hour, 24 * time.Hour, 7 * 24 * time.Hour}

// Has is storage.Store's. It looks at the newest rows first and stops when all ids are found.
func (s *Store) Has(ctx context.Context, tenant uint32, ids []string) (map[string]bool, error) {
	if err := s.settle(); err != nil {
		return nil, err
	}
	found := make(map[string]bool, len(ids))
	now := time.Now()
	for len(ids) > 0 {
		chunk := ids[:min(len(ids), idsAtOnce)]
		ids = ids[len(chunk):]
		end := int64(maxTime)
		for i := 0; i <= len(hasWindows) && len(chunk) > 0; i++ {
			start := int64(0)
			if i < len(hasWindows) {
				start = now.Add(-hasWindows[i]).UnixNano()
			}
			if err := s.hasIn(ctx, tenant, start, end, chunk, found); err != nil {
				return nil, err
			}
			chunk = missing(chunk, found)
			end = start
		}
	}
	return found, nil
}

func (s *Store) hasIn(ctx context.Context, tenant uint32, start, end int64, ids []string, found map[string]bool) error {
	var text strings.Builder
	text.WriteString(timeFilter(start, end) + " " + colID + ":in(")
	for i, id := range ids {
		if i > 0 {
			text.WriteByte(',')
		}
		text.WriteString(strconv.Quote(query.StoreValue(id)))
	}
	text.WriteString(") | fields " + colID)
	return s.runRows(ctx, tenantIDs(tenant), text.String(), func(b *block) error {
		for _, id := range b.column(colID) {
			found[strings.Clone(query.FieldValue(id))] = true
		}
		return nil
	})
}

func missing(ids []string, found map[string]bool) []string {
	var rest []string
	for _, id := range ids {
		if !found[id] {
			rest = append(rest, id)
		}
	}
	return rest
}

// Recover is storage.Store's.
func (s *Store) Recover(ctx context.Context, seq uint64, f func(tenant uint32, e *event.Event) error) error {
	if err := s.settle(); err != nil {
		return err
	}
	text := fmt.Sprintf(`%s:="%d" | fields _time, %s, "%s", "%s", "%s", "%s", "%s"`, colSeq, seq, colID, colSource, colFrom, colTo, colRanges, storage.ClientField)
	for _, tenant := range s.tenants.all() {
		err := s.runRows(ctx, []logstorage.TenantID{tenant}, text, func(b *block) error {
			for i := range b.n {
				e, err := recovered(b, i)
				if err != nil {
					return err
				}
				if err := f(tenant.AccountID, e); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("cannot recover batch %d: %w", seq, err)
		}
	}
	return nil
}

func recovered(b *block, i int) (*event.Event, error) {
	times, err := b.times()
	if err != nil {
		return nil, err
	}
	e := &event.Event{ID: strings.Clone(query.FieldValue(b.column(colID)[i])), Time: times[i]}
	if client := b.column(storage.ClientField)[i]; client != "" {
		e.Put(storage.ClientField, strings.Clone(query.FieldValue(client)))
	}
	p := &e.Position
	if p.Source = strings.Clone(query.FieldValue(b.column(colSource)[i])); p.Source == "" {
		return e, nil
	}
	if p.From, err = strconv.ParseInt(b.column(colFrom)[i], 10, 64); err == nil {
		if p.To, err = strconv.ParseInt(b.column(colTo)[i], 10, 64); err == nil {
			p.Ranges, err = parseRanges(b.column(colRanges)[i])
		}
	}
	if err != nil {
		return nil, fmt.Errorf("position of event %s: %w", e.ID, err)
	}
	return e, nil
}

// Usage is storage.Store's.
func (s *Store) Usage(ctx context.Context) (storage.Usage, error) {
	if err := s.gate.enter(); err != nil {
		return storage.Usage{}, err
	}
	defer s.gate.leave()
	if err := ctx.Err(); err != nil {
		return storage.Usage{}, err
	}
	s.flush()
	st := s.stats()
	u := storage.Usage{
		Rows:        int64(st.RowsCount()),
		Bytes:       int64(st.CompressedSmallPartSize + st.CompressedBigPartSize + st.IndexdbSizeBytes),
		RawBytes:    int64(st.UncompressedInmemorySize + st.UncompressedSmallPartSize + st.UncompressedBigPartSize),
		ReadOnlyWhy: s.space.reason(),
		Dropped:     map[string]int64{},
	}
	u.ReadOnly = u.ReadOnlyWhy != ""
	s.dropMu.Lock()
	for reason, n := range s.dropped {
		u.Dropped[reason] = n
	}
	s.dropMu.Unlock()
	for _, c := range s.classes {
		days, err := c.days()
		if err != nil {
			return u, err
		}
		if len(days) > 0 && (u.OldestDay == "" || days[0].Day < u.OldestDay) {
			u.OldestDay = days[0].Day
		}
	}
	return u, nil
}

// accountFields are what the account knows a source by, beside its positions.
var accountFields = []string{storage.ClientField, "log.file.path", "host.name", "orchestrator.cluster.name", "kubernetes.namespace", "kubernetes.pod.name", "kubernetes.pod.uid"}

// Positions calls f, in no order, for each event with a position of the batches up to seq, with tenant, ID, Time, Position and the fields
// that name its source and client. From them an account is rebuilt whose checkpoint was lost.
func (s *Store) Positions(ctx context.Context, seq uint64, f func(tenant uint32, e *event.Event) error) error {
	if err := s.settle(); err != nil {
		return err
	}
	text := fmt.Sprintf(`%s:<=%d "%s":* | fields _time, %s, "%s", "%s", "%s", "%s", %s`, colSeq, seq, colSource, colID, colSource, colFrom, colTo, colRanges, columnList(accountFields))
	for _, tenant := range s.tenants.all() {
		err := s.runRows(ctx, []logstorage.TenantID{tenant}, text, func(b *block) error {
			for i := range b.n {
				e, err := recovered(b, i)
				if err != nil {
					return err
				}
				for _, name := range accountFields {
					if v := query.FieldValue(b.column(columnOf(name))[i]); v != "" {
						e.Put(name, strings.Clone(v))
					}
				}
				if err := f(tenant.AccountID, e); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("cannot read the positions of the store: %w", err)
		}
	}
	return nil
}

// Highest is the highest sequence number of any batch stored; 0 in an empty store.
func (s *Store) Highest(ctx context.Context) (highest uint64, err error) {
	if err := s.settle(); err != nil {
		return 0, err
	}
	tenants := s.tenants.all()
	if len(tenants) == 0 {
		return 0, nil
	}
	err = s.run(ctx, tenants, "* | stats max("+colSeq+") as n", func(b *block) error {
		if n := b.column("n")[0]; n != "" && n != "NaN" {
			highest, err = strconv.ParseUint(n, 10, 64)
		}
		return err
	})
	return highest, err
}
