package api

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // time zones are known on machines without them

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/answer"
	"github.com/tallylog/tally/server/storage"
)

// Bounds of hits.
const (
	day          = 24 * time.Hour
	longTime     = 10 * 365 * day
	maxSteps     = 20_000  // in the range of time
	defaultHits  = 100     // combinations of values of by
	mostCombined = 100_000 // before they are added up over changes of the clock
)

// hits counts over time.
func (a *API) hits(w http.ResponseWriter, r *http.Request) error {
	q, err := a.read(w, r, "step", "offset", "by", "limit", "tz")
	if err != nil {
		return err
	}
	req := storage.HitsRequest{Search: q.search, By: q.list("by")}
	if req.Step, err = q.duration("step"); err != nil {
		return err
	}
	if q.Get("offset") != "" {
		if req.Offset, err = q.duration("offset"); err != nil {
			return err
		}
	}
	if req.Limit, err = q.int("limit", defaultHits, 1); err != nil {
		return err
	}
	zone, err := q.zone("tz")
	if err != nil {
		return err
	}
	if req.Start != 0 && req.End != 0 && (req.End-req.Start)/int64(req.Step) > maxSteps {
		return bad("parameter", "step %s makes more than %d steps between start and end", q.Get("step"), maxSteps)
	}
	ctx, end, err := a.begin(q, "query.hits")
	if err != nil {
		return err
	}
	defer end()
	var hits []storage.Hit
	if zone == time.UTC {
		hits, err = a.Store.Hits(ctx, req)
	} else {
		hits, err = a.localHits(ctx, req, zone)
	}
	if err != nil {
		return err
	}
	out := make([]map[string]any, len(hits))
	for i, h := range hits {
		out[i] = map[string]any{"@timestamp": time.Unix(0, h.Time).In(zone).Format(time.RFC3339Nano), "count": h.Count}
		if len(req.By) > 0 {
			out[i]["by"] = h.By
		}
	}
	answer.JSON(w, http.StatusOK, map[string]any{"hits": out})
	return nil
}

// zone reads the IANA name of a time zone; UTC without one. "Local" would be the server's, which is nobody's business.
func (p params) zone(name string) (*time.Location, error) {
	v := p.Get(name)
	if v == "" || v == "UTC" {
		return time.UTC, nil
	}
	zone, err := time.LoadLocation(v)
	if err != nil || v == "Local" {
		return nil, bad("parameter", "%s %.60q is no time zone like Europe/Berlin", name, v)
	}
	return zone, nil
}

// localHits counts by steps of a zone's own clock, so that a step of a day begins at midnight there and has 23 or 25 hours
// when the clock is changed. The store knows steps of equal length only: it is asked for each stretch of time between two
// changes, and a step that a change falls into is put together again.
func (a *API) localHits(ctx context.Context, r storage.HitsRequest, zone *time.Location) ([]storage.Hit, error) {
	if err := a.boundTime(ctx, &r.Search); err != nil || r.Start >= r.End {
		return nil, err
	}
	parts := stretches(r.Start, r.End, zone, r.Step, r.Offset)
	common, err := a.common(ctx, r, len(parts))
	if err != nil {
		return nil, err
	}
	sums := map[string]*storage.Hit{}
	var all []*storage.Hit
	for _, p := range parts {
		one := r
		one.Start, one.End, one.Offset = p.start, p.end, p.offset
		if common != nil {
			one.Limit = mostCombined
		}
		hits, err := a.Store.Hits(ctx, one)
		if err != nil {
			return nil, err
		}
		for _, h := range hits {
			if h.Time == p.first {
				h.Time = p.begins
			}
			if common != nil && !common[byKey(r.By, h.By)] {
				h.By = nothingOf(r.By)
			}
			key := fmt.Sprint(h.Time, byKey(r.By, h.By))
			if sums[key] == nil {
				sums[key] = &storage.Hit{Time: h.Time, By: h.By}
				all = append(all, sums[key])
			}
			sums[key].Count += h.Count
		}
	}
	slices.SortFunc(all, func(x, y *storage.Hit) int {
		return cmp.Or(cmp.Compare(x.Time, y.Time), strings.Compare(byKey(r.By, x.By), byKey(r.By, y.By)))
	})
	hits := make([]storage.Hit, len(all))
	for i, h := range all {
		hits[i] = *h
	}
	return hits, nil
}

// boundTime moves the bounds of a search that has none, or that spans generations of changed clocks, to the first and the
// last event it finds.
func (a *API) boundTime(ctx context.Context, s *storage.Search) error {
	if s.Start != 0 && s.End != 0 && s.End-s.Start < int64(longTime) {
		return nil
	}
	edge := func(fn string) (int64, error) {
		rows, err := a.Store.Stats(ctx, storage.StatsRequest{Search: *s, Func: storage.Func{Name: fn, Field: event.Timestamp}})
		if err != nil || len(rows) == 0 {
			return 0, err
		}
		ns, _ := event.ParseTime(rows[0].Result) // no result: no event
		return ns, nil
	}
	first, err := edge("min")
	if err != nil {
		return err
	}
	last, err := edge("max")
	if err != nil {
		return err
	}
	if s.Start, s.End = first, last+1; first == 0 && last == 0 {
		s.End = 0
	}
	return nil
}

// common returns the combinations of values that are counted on their own; nil where the store can choose them, because it
// is asked only once.
func (a *API) common(ctx context.Context, r storage.HitsRequest, parts int) (map[string]bool, error) {
	if len(r.By) == 0 || parts < 2 {
		return nil, nil
	}
	rows, err := a.Store.Stats(ctx, storage.StatsRequest{Search: r.Search, Func: storage.Func{Name: "count"}, By: r.By, Top: r.Limit})
	set := make(map[string]bool, len(rows))
	for _, row := range rows {
		set[fmt.Sprintf("%q", row.By)] = true
	}
	return set, err
}

func byKey(names []string, by map[string]string) string {
	values := make([]string, len(names))
	for i, n := range names {
		values[i] = by[n]
	}
	return fmt.Sprintf("%q", values)
}

func nothingOf(names []string) map[string]string {
	by := make(map[string]string, len(names))
	for _, n := range names {
		by[n] = ""
	}
	return by
}

// stretch is a range of time in which the clock of a zone is not changed.
type stretch struct {
	start, end int64
	offset     time.Duration // of the steps, as HitsRequest has it
	// first is the time the store gives to the first step; begins is when it really begins: in the stretch before, where it
	// is the rest of a step that began there.
	first, begins int64
}

func stretches(start, end int64, zone *time.Location, step, offset time.Duration) (list []stretch) {
	var lastLabel, lastBegins int64 // of the last step of the stretch before
	for at := start; at < end; {
		t := time.Unix(0, at).In(zone)
		_, ahead := t.Zone()
		shift := int64(ahead) * int64(time.Second)
		label := func(ns int64) int64 { return floor(ns+shift-int64(offset), int64(step)) }
		until := end
		if _, change := t.ZoneBounds(); !change.IsZero() && change.UnixNano() > at {
			until = min(end, change.UnixNano())
		}
		p := stretch{start: at, end: until, offset: offset - time.Duration(shift)}
		p.first = label(at) - shift + int64(offset)
		p.begins = p.first
		switch again := len(list) > 0 && label(at) == lastLabel; {
		case again && (p.first < at || step >= day):
			p.begins = lastBegins
		case len(list) > 0 && p.first < at: // the clock was put over the beginning of the step
			p.begins = at
		}
		list = append(list, p)
		if lastLabel = label(until - 1); lastLabel == label(at) {
			lastBegins = p.begins
		} else {
			lastBegins = lastLabel - shift + int64(offset)
		}
		at = until
	}
	return list
}

// floor is the largest multiple of step that is not above n.
func floor(n, step int64) int64 {
	m := n % step
	if m < 0 {
		m += step
	}
	return n - m
}
