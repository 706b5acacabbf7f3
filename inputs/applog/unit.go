package applog

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/reader"
	"github.com/elastic/beats/v7/libbeat/reader/readjson"

	"github.com/tallylog/tally/inputs/multiline"
)

// unit is what becomes one event where lines are parsed: pieces that a container's runtime cut a line into, or lines that
// multiline joins, or one line. Its fields are those that Filebeat's readers give.
type unit struct {
	from, to int      // in the buffer
	pieces   [][2]int // lines of the file, touching ones together, in their order
	text     string
	time     time.Time
	fields   common.MapStr
}

// parser makes units of lines: containers' pieces first, then JSON, then multiline, as Filebeat orders them. It is for one worker.
//
// The units are a function of where they begin, the bytes behind that, and the cuts in the registry, as events of multiline are.
type parser struct {
	cfg    *config
	packed *unpacker
	json   *readjson.JSONReader
	line   reader.Message // what json reads
}

func newParser(cfg *config) *parser {
	if cfg.Container == nil && cfg.JSON == nil {
		return nil
	}
	p := &parser{cfg: cfg}
	if c := cfg.Container; c != nil {
		p.packed = &unpacker{format: c.Format}
	}
	if cfg.JSON != nil {
		p.json = readjson.NewJSONReader(p, cfg.JSON)
	}
	return p
}

// Next and Close make a parser the reader that Filebeat's JSON reader reads.
func (p *parser) Next() (reader.Message, error) { return p.line, nil }

// Close has nothing to do.
func (p *parser) Close() error { return nil }

// units makes units of lines, which are spans of b; at is the offset of b in the file. Where end, the end of the last line, is not
// closed, hold is where the first unit begins that may go on: what is behind it is not returned, and is to be read again.
func (p *parser) units(f *format, b []byte, at int64, cuts []int64, lines []span, end int, closed bool) (units []unit, hold int) {
	var whole []unit
	open := map[string]*unit{} // by stream
	for _, sp := range lines {
		u := unit{from: sp.from, to: sp.to, pieces: [][2]int{{sp.from, sp.to}}, text: f.decode(b[sp.from:sp.text])}
		stream, partial := "", false
		if p.packed != nil {
			stream, partial = p.unpackInto(&u)
		}
		if o := open[stream]; o != nil {
			o.append(u, "")
			u = *o
			delete(open, stream)
		}
		switch {
		case partial:
			open[stream] = &u
		case p.packed == nil || p.cfg.Container.Stream == "all" || stream == "" || stream == p.cfg.Container.Stream:
			whole = append(whole, u)
		}
		if slices.Contains(cuts, at+int64(sp.to)) {
			whole = appendOpen(whole, open)
		}
	}
	hold = end
	if closed {
		whole = appendOpen(whole, open)
	}
	for _, o := range open {
		hold = min(hold, o.from)
	}
	if p.json != nil {
		for i := range whole {
			p.decode(&whole[i])
		}
	}
	units, first := p.join(whole, at, cuts, closed)
	if first != nil {
		hold = min(hold, first.from)
	}
	for again := true; again; { // what lies around or behind something open waits with it
		again = false
		for _, u := range units {
			if u.to > hold && u.from < hold {
				hold, again = u.from, true
			}
		}
	}
	return slices.DeleteFunc(units, func(u unit) bool { return u.to > hold }), hold
}

// appendOpen closes what is open.
func appendOpen(whole []unit, open map[string]*unit) []unit {
	from := len(whole)
	for stream, o := range open {
		whole = append(whole, *o)
		delete(open, stream)
	}
	slices.SortFunc(whole[from:], func(a, b unit) int { return a.to - b.to })
	return whole
}

// unpackInto reads a container's line. One that is none is taken as it is, and says so.
func (p *parser) unpackInto(u *unit) (stream string, partial bool) {
	l, err := p.packed.unpack([]byte(u.text))
	if err != nil {
		u.fields = common.MapStr{"error": common.MapStr{"message": err.Error()}}
		return "", false
	}
	u.text, u.time = l.text, l.time
	u.fields = common.MapStr{"stream": l.stream}
	if l.attrs != nil {
		u.fields["docker"] = common.MapStr{"attrs": l.attrs}
	}
	return l.stream, l.partial
}

// decode reads JSON with Filebeat's own reader.
func (p *parser) decode(u *unit) {
	p.line = reader.Message{Content: []byte(u.text), Fields: u.fields}
	m, err := p.json.Next()
	if err == nil { // its reader never fails
		u.text, u.fields = string(m.Content), m.Fields
	}
}

// append joins a later unit to this one.
func (u *unit) append(next unit, between string) {
	for _, p := range next.pieces {
		if last := &u.pieces[len(u.pieces)-1]; last[1] == p[0] {
			last[1] = p[1]
		} else {
			u.pieces = append(u.pieces, p)
		}
	}
	u.to = max(u.to, next.to)
	u.text += between + next.text
	if u.fields == nil {
		u.fields = next.fields
	} else {
		u.fields.Update(next.fields)
	}
}

// join makes multiline events of units. first is the unit that the last one begins with which may go on.
func (p *parser) join(units []unit, at int64, cuts []int64, closed bool) (events []unit, first *unit) {
	m := p.cfg.Multiline
	if m == nil {
		return units, nil
	}
	var group []unit
	flush := func() {
		if len(group) == 0 {
			return
		}
		var text strings.Builder
		for i, u := range group {
			if i > 0 {
				text.WriteByte('\n')
			}
			text.WriteString(u.text)
		}
		e := group[0]
		for _, u := range group[1:] {
			u.text = ""
			e.append(u, "")
		}
		e.text = text.String()
		events = append(events, e)
		group = nil
	}
	var e multiline.Event
	for _, u := range units {
		begins, ends := m.Next(&e, u.text, slices.Contains(cuts, at+int64(u.to)))
		if begins {
			flush()
		}
		group = append(group, u)
		if ends {
			flush()
		}
	}
	if closed {
		flush()
	}
	if len(group) > 0 {
		return events, &group[0]
	}
	return events, nil
}

// shorten cuts a text to limit bytes without tearing a character.
func shorten(text string, limit int) (short string, truncated bool) {
	if len(text) <= limit {
		return text, false
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit], true
}
