package embedded

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/logstorage"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/storage"
)

const nsPerDay = int64(24 * time.Hour)

// seqDay names the rows of one batch that fall on one UTC day.
type seqDay struct {
	seq uint64
	day int64 // since 1970
}

// Reasons of Usage.Dropped.
const (
	tooOld    = "too_old"
	tooFuture = "too_far_in_future"
)

// nearMidnight keeps a row from being stored on a day that is removed the next moment.
const nearMidnight = time.Minute

// Append is storage.Store's.
func (s *Store) Append(ctx context.Context, b *storage.Batch) error {
	if err := s.gate.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.o.ReadOnly {
		return errors.New("the store is open for reading only")
	}
	if len(b.Events) == 0 {
		return nil
	}
	if err := s.tenants.add(b.Tenant); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.stop, cancel)()
	if err := s.space.take(ctx, rawSize(b.Events)); err != nil {
		return err
	}
	for _, c := range s.classes {
		if c.columns.crowded() {
			s.flush()
			for _, c := range s.classes {
				c.columns.reset()
			}
			break
		}
	}
	s.addRows(b)
	for _, c := range s.classes {
		c.add(&s.appended)
	}
	return nil
}

// add hands the rows over that were gathered for the class: all those of a batch in one call.
func (c *class) add(appended *atomic.Uint64) {
	if c.rows == nil {
		return
	}
	c.use.RLock()
	defer c.use.RUnlock()
	c.ls.MustAddRows(c.rows)
	appended.Add(1)
	logstorage.PutLogRows(c.rows)
	c.rows = nil
}

// addRows gathers, for each class, the rows of the batch that are within the retention and not stored yet.
func (s *Store) addRows(b *storage.Batch) {
	now := time.Now()
	newest := now.Add(s.o.FutureRetention).UnixNano()
	tenant := logstorage.TenantID{AccountID: b.Tenant}
	seq := strconv.FormatUint(b.Seq, 10)
	limits := s.Limits()
	old, future := int64(0), int64(0)
	for i := range b.Events {
		e := &b.Events[i]
		c := s.classOf(b.Seq, b.Tenant, e)
		if _, stored := c.stored[seqDay{b.Seq, e.Time / nsPerDay}]; stored {
			continue
		}
		age := limits[c.name].Age
		switch {
		case age > 0 && e.Time < now.Add(nearMidnight-age).UnixNano():
			old++
			b.Rejected = append(b.Rejected, storage.Rejection{Index: i, Reason: tooOld + ": older than the retention of class " + c.name})
			continue
		case e.Time > newest:
			future++
			b.Rejected = append(b.Rejected, storage.Rejection{Index: i, Reason: tooFuture + ": too far ahead of the clock"})
			continue
		}
		row, bucket := s.build.build(seq, e)
		n := c.columns.place(bucket, row)
		if n < 0 {
			row, n = s.build.foldAll(), bucket
		}
		if c.rows == nil {
			c.rows = logstorage.GetLogRows(nil, nil, nil, nil, "")
		}
		c.rows.MustAdd(tenant, e.Time, row, streamFields[n])
	}
	s.drop(tooOld, old)
	s.drop(tooFuture, future)
}

func (s *Store) drop(reason string, n int64) {
	if n == 0 {
		return
	}
	s.dropMu.Lock()
	defer s.dropMu.Unlock()
	s.dropped[reason] += n
}

func rawSize(events []event.Event) (n uint64) {
	for i := range events {
		n += 128 // time, id and position
		for _, f := range events[i].Fields {
			n += uint64(len(f.Name) + len(f.Value))
		}
	}
	return n
}
