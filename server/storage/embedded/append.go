package embedded

import (
	"context"
	"strconv"
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

// nearMidnight keeps a row from being refused by logstorage, without a word to us, when its day goes out of retention
// between our look at the clock and its own.
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
	if s.columns.crowded() {
		s.flush()
		s.columns.reset()
	}
	rows := logstorage.GetLogRows(nil, nil, nil, nil, "")
	defer logstorage.PutLogRows(rows)
	s.addRows(rows, b)
	if rows.RowsCount() > 0 {
		s.ls.MustAddRows(rows)
		s.appended.Add(1)
	}
	return nil
}

// addRows adds the rows of the batch that are within the retention and not stored yet.
func (s *Store) addRows(rows *logstorage.LogRows, b *storage.Batch) {
	now := time.Now()
	oldest := now.Add(nearMidnight - s.o.Retention).UnixNano()
	newest := now.Add(s.o.FutureRetention).UnixNano()
	tenant := logstorage.TenantID{AccountID: b.Tenant}
	seq := strconv.FormatUint(b.Seq, 10)
	old, future := int64(0), int64(0)
	for i := range b.Events {
		e := &b.Events[i]
		if _, stored := s.stored[seqDay{b.Seq, e.Time / nsPerDay}]; stored {
			continue
		}
		switch {
		case e.Time < oldest:
			old++
			b.Rejected = append(b.Rejected, storage.Rejection{Index: i, Reason: tooOld + ": older than the retention"})
			continue
		case e.Time > newest:
			future++
			b.Rejected = append(b.Rejected, storage.Rejection{Index: i, Reason: tooFuture + ": too far ahead of the clock"})
			continue
		}
		row, bucket := s.build.build(seq, e)
		n := s.columns.place(bucket, row)
		if n < 0 {
			row, n = s.build.foldAll(), bucket
		}
		rows.MustAdd(tenant, e.Time, row, streamFields[n])
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
