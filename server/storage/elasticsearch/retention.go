package elasticsearch

import (
	"context"
	"time"
)

// tidyEvery is the time between two looks at what is too old or too much.
const tidyEvery = 10 * time.Minute

// tidy deletes what is too old or too much, until the store is closed.
func (s *Store) tidy() {
	if s.o.Retention <= 0 && s.o.MaxBytes <= 0 {
		return
	}
	for {
		if _, err := s.Retain(s.stop, time.Now()); err != nil && s.stop.Err() == nil {
			s.o.Log.Warn("cannot delete what is older than the retention; trying again", "error", err, "in", tidyEvery)
		}
		select {
		case <-s.stop.Done():
			return
		case <-time.After(tidyEvery):
		}
	}
}

// Outdated returns the indices that the retention would delete at a time: those whose events are all older than it, and the
// oldest ones while all together are larger than the bound.
func (s *Store) Outdated(ctx context.Context, now time.Time) ([]Index, error) {
	list, err := s.Indices(ctx)
	if err != nil {
		return nil, err
	}
	total := int64(0)
	for _, x := range list {
		total += x.Bytes
	}
	var out []Index
	for _, x := range list { // the oldest first
		if x.Rows == 0 {
			continue
		}
		old := s.o.Retention > 0 && x.Newest < now.Add(-s.o.Retention).UnixNano()
		many := s.o.MaxBytes > 0 && total > s.o.MaxBytes && x.Newest < now.Truncate(24*time.Hour).Add(-24*time.Hour).UnixNano()
		if old || many {
			out = append(out, x)
			total -= x.Bytes
		}
	}
	return out, nil
}

// Retain deletes what Outdated returns, and returns it.
func (s *Store) Retain(ctx context.Context, now time.Time) ([]Index, error) {
	list, err := s.Outdated(ctx, now)
	if err != nil {
		return nil, err
	}
	for i, x := range list {
		if err := s.Delete(ctx, x.Name); err != nil {
			return list[:i], err
		}
		s.o.Log.Info("index deleted by the retention", "index", x.Name, "events", x.Rows, "bytes", x.Bytes, "newest", time.Unix(0, x.Newest).UTC())
	}
	return list, nil
}
