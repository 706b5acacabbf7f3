package applog

import (
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
	t := &turn{source: s, from: s.read, fromSum: s.sum, to: s.read + int64(hold), toSum: windowSum(buf[:int(k)+hold])}
	t.ends, t.tos = unitEnds(s.read, units)
	if !w.in.begin(t) {
		return false
	}
	w.now = time.Now()
	c := newCover(s.read, s.shipped, units)
	for i := range units {
		w.event = i
		w.sendUnit(t, data, &units[i], &c, i)
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
// before its end; tos are the ends of the units.
func unitEnds(at int64, units []unit) (ends, tos []int64) {
	ends, tos = make([]int64, len(units)), make([]int64, len(units))
	least := 1 << 62
	for i := len(units) - 1; i >= 0; i-- {
		ends[i], tos[i] = at+int64(min(units[i].to, least)), at+int64(units[i].to)
		least = min(least, units[i].from)
	}
	return ends, tos
}

// sendUnit publishes one unit, the i-th of c. Of a text that is cut, the end of its ranges is lost: as many bytes as were cut off, and the
// newline. Which bytes of the file they are cannot be told where the text was JSON or in another encoding.
func (w *worker) sendUnit(t *turn, data []byte, u *unit, c *cover, i int) {
	s := t.source
	log := common.MapStr{"offset": c.read + int64(u.from), "file": common.MapStr{"path": s.path}}
	text, truncated := shorten(u.text, int(w.in.cfg.MaxBytes))
	cut := 0
	if truncated {
		log["flags"] = []string{"truncated"}
		cut = len(u.text) - len(text)
		if endsLine(&s.format, data[:u.to]) {
			cut += len(s.format.nl)
		}
	}
	ranges, lost := c.shares(i, cut)
	w.in.owe(s, c.inFile(lost), c.inFile(c.untold(i, ranges, lost)))
	tally := c.position(i, ranges)
	tally["source"], tally["sum"] = s.name, bundle.Hex(xxhash.Sum64(data[u.from:ranges[len(ranges)-1][1]]))
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
	w.in.sure(s, !w.dropped)
	if !w.dropped {
		s.shipped = max(s.shipped, t.from+int64(u.to))
	}
}
