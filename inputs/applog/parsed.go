package applog

import (
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/reader/readjson"

	"github.com/tallylog/tally/outputs/bundle"
)

// maxParsed bounds what is read at once of a source whose lines are parsed.
func (c *config) maxParsed() int { return int(min(int64(sliceLen)+4*int64(c.MaxBytes), 64<<20)) }

// parsedTurn is the second half of a turn where lines are parsed. buf begins k bytes before data; used is the end of the last
// complete line in data.
func (w *worker) parsedTurn(s *source, data, buf []byte, k int64, lines []span, used int, cuts []int64, flush flushing, eof bool) (more bool) {
	full := !eof && len(data) >= w.in.cfg.maxParsed()
	closed := flush > flushNone || full
	if flush == flushAll && eof && used < len(data) {
		if sp, ok := s.format.line(data, used, len(data)); ok {
			lines = append(lines, sp)
		}
		used = len(data)
	}
	units, hold := w.parser.units(&s.format, data, s.read, cuts, lines, used, false)
	if cut := hold < used || used == len(data) && eof && !endsLine(&s.format, data); cut && closed {
		if len(lines) > 0 && !w.cutAt(s, s.read+int64(lines[len(lines)-1].to)) {
			return false
		}
		units, hold = w.parser.units(&s.format, data, s.read, cuts, lines, used, true)
	}
	half := int64(0)
	if eof && hold < len(data) {
		half = s.read + int64(len(data))
	}
	w.note(s, half)
	if hold == 0 {
		s.atEnd = eof && len(data) == 0
		if !eof {
			s.want = 2 * len(data)
		}
		return !eof
	}
	units = w.in.wantedUnits(units)
	t := &turn{source: s, from: s.read, fromSum: s.sum, to: s.read + int64(hold), toSum: windowSum(buf[:int(k)+hold]), ends: unitEnds(s.read, units)}
	if !w.in.begin(t) {
		return false
	}
	w.now = time.Now()
	c := newCover(s.read, s.shipped, units)
	for i := range units {
		w.event = i
		w.sendUnit(t, data, &units[i], c.position(i))
		c.published(i, w.dropped)
	}
	s.read, s.sum, s.scanned, s.want = t.to, t.toSum, 0, 0
	s.atEnd = eof && hold == len(data)
	return !eof
}

// endsLine says whether data ends with a newline.
func endsLine(f *format, data []byte) bool {
	return len(data) >= len(f.nl) && string(data[len(data)-len(f.nl):]) == string(f.nl)
}

// unitEnds gives for each unit the offset that is safe once it is acknowledged: that where units which come later begin, if they begin
// before its end.
func unitEnds(at int64, units []unit) []int64 {
	ends := make([]int64, len(units))
	least := 1 << 62
	for i := len(units) - 1; i >= 0; i-- {
		ends[i] = at + int64(min(units[i].to, least))
		least = min(least, units[i].from)
	}
	return ends
}

// cover knows which bytes the units of a turn stand for.
type cover struct {
	read    int64 // where the buffer begins
	shipped int64 // where the last unit ends that was not dropped
	units   []unit
	dropped []bool // by processors
	mixed   bool   // there are units with others inside
}

func newCover(read, shipped int64, units []unit) cover {
	return cover{
		read: read, shipped: shipped, units: units, dropped: make([]bool, len(units)),
		mixed: slices.ContainsFunc(units, func(u unit) bool { return len(u.pieces) > 1 }),
	}
}

func (c *cover) published(i int, dropped bool) {
	c.dropped[i] = dropped
	if !dropped && !c.mixed {
		c.shipped = c.read + int64(c.units[i].to)
	}
}

// position is @metadata.tally of unit i but for source and sum. What lies within a unit and belongs to no other event counts as a part of
// it; what lies right before it and belongs to none is skipped.
func (c *cover) position(i int) common.MapStr {
	u := &c.units[i]
	before := c.shipped - c.read
	var ranges, others [][2]int // within the unit: its own pieces, and those of others
	for j := range c.units {
		o := &c.units[j]
		if !c.mixed || j == i || c.dropped[j] {
			continue
		}
		for _, p := range o.pieces {
			if p[1] <= u.from {
				before = max(before, int64(p[1]))
			} else if p[0] >= u.from && p[1] <= u.to {
				others = append(others, p)
			}
		}
	}
	slices.SortFunc(others, func(a, b [2]int) int { return a[0] - b[0] })
	at := u.from
	for _, p := range others {
		if p[0] > at {
			ranges = append(ranges, [2]int{at, p[0]})
		}
		at = p[1]
	}
	m := common.MapStr{"from": c.read + int64(u.from), "to": c.read + int64(u.to), "skipped": max(0, int64(u.from)-before)}
	if at > u.from {
		ranges = append(ranges, [2]int{at, u.to})
		list := make([]interface{}, len(ranges))
		for k, r := range ranges {
			list[k] = []interface{}{c.read + int64(r[0]), c.read + int64(r[1])}
		}
		m["ranges"] = list
	}
	return m
}

// sendUnit publishes one unit.
func (w *worker) sendUnit(t *turn, data []byte, u *unit, tally common.MapStr) {
	s := t.source
	log := common.MapStr{"offset": tally["from"], "file": common.MapStr{"path": s.path}}
	text, truncated := shorten(u.text, int(w.in.cfg.MaxBytes))
	if truncated {
		log["flags"] = []string{"truncated"}
	}
	tally["source"], tally["sum"] = s.name, bundle.Hex(xxhash.Sum64(data[u.from:u.to]))
	e := beat.Event{Timestamp: w.now, Meta: common.MapStr{"tally": tally}, Fields: common.MapStr{"log": log}, Private: t}
	if !u.time.IsZero() {
		e.Timestamp = u.time
	}
	for k, v := range s.pod {
		e.Fields[k] = v.(common.MapStr).Clone()
	}
	e.Fields.DeepUpdate(u.fields)
	json, _ := e.Fields["json"].(common.MapStr)
	if w.in.cfg.JSON != nil && len(json) > 0 {
		id, ts := readjson.MergeJSONFields(e.Fields, json, &text, *w.in.cfg.JSON)
		if !ts.IsZero() {
			e.Timestamp = ts
		}
		if id != "" {
			e.Meta["_id"] = id
		}
	} else {
		e.Fields["message"] = text
	}
	w.dropped = false
	w.client.Publish(e)
	if !w.dropped {
		s.shipped = max(s.shipped, t.from+int64(u.to))
	}
}
