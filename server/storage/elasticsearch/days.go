package elasticsearch

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/storage"
)

// Where several servers write, an event that comes through two of them must have one index, or op_type create could not tell that it is
// there. The name follows from the event, but for one that brought no time of its own, or one that lies in the future: there the time is
// that of arrival, on another day perhaps at the other server. For such an event the name is written down under its id before it is stored;
// whoever is first is right for all.

const (
	// arrivalSpan is how far behind the arrival of its batch the time of an event may lie that was given by admission: a nanosecond for each
	// event before it. Others that meet it cost a document more, and nothing else.
	arrivalSpan = int64(time.Millisecond)
	// ahead is how far in the future a time is doubtful: another server, later, might not clamp it.
	ahead = int64(time.Minute)
	// daysKept is how long names are kept: a batch that comes again after it, through another server, and none of whose events has a time,
	// is stored again.
	daysKept = 30 * 24 * time.Hour
)

// doubtful tells whether two servers may give e different times.
func doubtful(e *event.Event, received int64) bool {
	if !e.HasPosition() && e.Identity == "" {
		return false // nobody can send it again as the same
	}
	return e.Time >= received && e.Time < received+arrivalSpan || e.Time > received+ahead
}

// settleDays returns the names of the indices of the events whose own do not follow from them alone, by their place in the batch. With one server
// there are none.
func (s *Store) settleDays(ctx context.Context, b *storage.Batch) (names map[int]string, err error) {
	if s.days == nil || b.Received == 0 {
		return nil, nil
	}
	var places []int
	var ids []string
	var bodies [][]byte
	flush := func() error {
		all, err := s.days.CreateAll(ctx, ids, bodies)
		if err != nil {
			return err
		}
		for i, body := range all {
			var day struct{ Index string }
			if err := json.Unmarshal(body, &day); err != nil || day.Index == "" {
				return fmt.Errorf("cannot understand the index of document %q: %w", ids[i], err)
			}
			names[places[i]] = day.Index
		}
		places, ids, bodies = places[:0], ids[:0], bodies[:0]
		return nil
	}
	names = map[int]string{}
	for i := range b.Events {
		e := &b.Events[i]
		if !doubtful(e, b.Received) {
			continue
		}
		places, ids = append(places, i), append(ids, documentID(b.Tenant, e))
		bodies = append(bodies, mustJSON(object{"index": s.name.Of(b.Tenant, shown(s.class(b.Tenant, e)), e), "at": b.Received / int64(time.Millisecond)}))
		if len(ids) == bulkDocs {
			if err := flush(); err != nil {
				return nil, err
			}
		}
	}
	if len(ids) > 0 {
		err = flush()
	}
	return names, err
}

// forgetDays deletes old names now and then, until the store is closed.
func (s *Store) forgetDays() {
	tick := time.NewTicker(6 * time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-s.stop.Done():
			return
		case <-tick.C:
		}
		if err := s.days.Prune(s.stop, time.Now().Add(-daysKept).UnixMilli()); err != nil && s.stop.Err() == nil {
			s.o.Log.Warn("cannot forget the days of old events; trying again later", "error", err)
		}
	}
}
