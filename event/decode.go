package event

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/valyala/fastjson"

	"github.com/tallylog/tally/ledger"
)

// Bounds on what one event may hold. What goes beyond is folded or cut with a mark, never lost without a word: see
// Decoder.Decode.
const (
	MaxFields   = 1000      // leaves; the rest goes as JSON text into OverflowField
	MaxName     = 128       // bytes of a dotted name; longer ones go into OverflowField
	MaxEvent    = 1_900_000 // bytes of all names and values; the longest values are cut
	MaxDepth    = 300       // nesting of JSON
	maxInterned = 20_000
)

// OverflowField holds, as JSON text, the leaves that were too many or too long-named. TruncatedField is "true" where a
// value had to be cut.
const (
	OverflowField  = "tally.overflow"
	TruncatedField = "tally.truncated"
)

// OriginalPrefix stands before the names of fields that are ours to set, _id and tally.*, when an event brings them: as one does
// that was exported and is pushed again.
const OriginalPrefix = "original."

func reserved(key []byte) bool {
	return string(key) == "_id" || string(key) == "tally" || bytes.HasPrefix(key, []byte("tally."))
}

// ErrNotObject means that the text is valid JSON but no object.
var ErrNotObject = errors.New("not a JSON object")

// Decoder turns JSON objects into events. It keeps buffers and field names from call to call; it is not safe for
// concurrent use. The zero value is ready.
type Decoder struct {
	p     fastjson.Parser
	names map[string]*name
	gen   uint32
	path  []byte
	arena []byte
	over  []byte
	size  int
	usual int // fields of the event before; neighbours are alike
}

// name is an interned field name; gen and at tell where the event under way has it.
type name struct {
	s   string
	gen uint32
	at  int
}

// Decode reads one JSON object. Nested objects become dotted names; arrays and empty objects keep their JSON text; null
// values are left out; @timestamp (RFC 3339, or milliseconds since 1970 as a number) becomes the time, 0 when missing or
// unreadable, in which case its text is kept in tally.timestamp; @metadata is dropped but for tally (the position, or a
// control record) and _id. Invalid UTF-8 becomes U+FFFD.
//
// Too many leaves, or too long names, go as JSON text into OverflowField; values too large for a row are cut and
// TruncatedField set. An error means text that is no JSON object, is nested deeper than MaxDepth, or has a position out
// of bounds; one that wraps ErrControl means a control record that says something impossible.
func (d *Decoder) Decode(line []byte) (Event, error) {
	v, err := d.p.ParseBytes(line)
	if err != nil {
		return Event{}, fmt.Errorf("not valid JSON: %s", reason(err))
	}
	o, err := v.Object()
	if err != nil {
		return Event{}, ErrNotObject
	}
	if d.names == nil || len(d.names) > maxInterned {
		d.names = make(map[string]*name, 256)
	}
	d.gen++
	d.size = 0
	d.over = d.over[:0]
	e := Event{Fields: make([]Field, 0, d.usual+2)} // room for a field or two that the server adds
	var bad error
	o.Visit(func(k []byte, v *fastjson.Value) {
		switch string(k) {
		case Timestamp:
			if t, ok := parseTime(v); ok {
				e.Time = t
			} else if v.Type() != fastjson.TypeNull {
				d.path = append(d.path[:0], "tally.timestamp"...)
				d.leaf(&e, v)
			}
		case "@metadata":
			if err := metadata(&e, v); err != nil {
				bad = err
			}
		default:
			d.path = d.path[:0]
			if reserved(k) {
				d.path = append(d.path, OriginalPrefix...)
			}
			d.path = append(d.path, k...)
			d.walk(&e, v)
		}
	})
	if bad != nil {
		return Event{}, bad
	}
	if len(d.over) > 0 {
		e.PutField(Field{Name: OverflowField, Value: d.copy(append(d.over, '}')), Kind: JSON})
	}
	if d.size > MaxEvent {
		e.cut(d.size)
	}
	d.usual = len(e.Fields)
	return e, nil
}

func (d *Decoder) walk(e *Event, v *fastjson.Value) {
	if v.Type() != fastjson.TypeObject {
		d.leaf(e, v)
		return
	}
	o, _ := v.Object()
	if o.Len() == 0 {
		d.leaf(e, v)
		return
	}
	base := len(d.path)
	o.Visit(func(k []byte, v *fastjson.Value) {
		d.path = append(append(d.path[:base], '.'), k...)
		d.walk(e, v)
	})
	d.path = d.path[:base]
}

// leaf appends the field named by d.path, or replaces it where the object says it twice.
func (d *Decoder) leaf(e *Event, v *fastjson.Value) {
	f := Field{}
	switch v.Type() {
	case fastjson.TypeNull:
		return
	case fastjson.TypeString:
		b, _ := v.StringBytes()
		f.Value = d.copy(b)
	case fastjson.TypeNumber:
		f.Kind = Number
		f.Value = d.copyOf(v)
	case fastjson.TypeTrue:
		f.Kind, f.Value = Bool, "true"
	case fastjson.TypeFalse:
		f.Kind, f.Value = Bool, "false"
	default:
		f.Kind = JSON
		f.Value = d.copyOf(v)
	}
	n := d.intern(d.path)
	if n.gen == d.gen {
		e.Fields[n.at] = withName(f, n.s)
		return
	}
	if len(e.Fields) >= MaxFields || len(n.s) > MaxName || n.s == "" {
		d.overflow(n.s, v)
		return
	}
	n.gen, n.at = d.gen, len(e.Fields)
	d.size += len(n.s) + len(f.Value)
	e.Fields = append(e.Fields, withName(f, n.s))
}

func withName(f Field, name string) Field { f.Name = name; return f }

func (d *Decoder) overflow(name string, v *fastjson.Value) {
	if len(d.over) == 0 {
		d.over = append(d.over, '{')
	} else {
		d.over = append(d.over, ',')
	}
	d.over = AppendQuoted(d.over, name)
	d.over = append(d.over, ':')
	at := len(d.over)
	d.over = v.MarshalTo(d.over)
	d.size += len(name) + len(d.over) - at
}

func (d *Decoder) intern(b []byte) *name {
	if n, ok := d.names[string(b)]; ok {
		return n
	}
	n := &name{s: strings.ToValidUTF8(string(b), "\uFFFD")}
	if len(b) <= 4*MaxName && len(d.names) <= maxInterned {
		d.names[string(b)] = n
	}
	return n
}

// arenaSize is the room shared by the values of many events.
const arenaSize = 64 << 10

func (d *Decoder) copy(b []byte) string {
	if !utf8.Valid(b) {
		return strings.ToValidUTF8(string(b), "\uFFFD")
	}
	if len(b) == 0 {
		return ""
	}
	if len(b) > arenaSize/4 {
		return string(b)
	}
	if len(d.arena)+len(b) > cap(d.arena) {
		d.arena = make([]byte, 0, arenaSize)
	}
	at := len(d.arena)
	d.arena = append(d.arena, b...)
	return unsafeString(d.arena[at:])
}

func (d *Decoder) copyOf(v *fastjson.Value) string {
	var a [64]byte
	return d.copy(v.MarshalTo(a[:0]))
}

// parseTime reads RFC 3339 text, or a number of milliseconds since 1970.
func parseTime(v *fastjson.Value) (int64, bool) {
	switch v.Type() {
	case fastjson.TypeString:
		b, _ := v.StringBytes()
		return ParseTime(string(b))
	case fastjson.TypeNumber:
		ms, err := v.Float64()
		if err != nil || math.Abs(ms) > 9e12 {
			return 0, false
		}
		return int64(ms*1e3) * 1e3, true // microseconds are what a float64 of this size can tell apart
	}
	return 0, false
}

// ParseTime reads RFC 3339 (also with a small t or z, or a space for the T, which it allows), or a decimal number of milliseconds
// since 1970, as nanoseconds. ok is false outside 1678..2262, which nanoseconds in 64 bits cannot hold.
func ParseTime(s string) (ns int64, ok bool) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		const dateTime = len("2006-01-02T")
		if len(s) <= dateTime || s[4] != '-' {
			return parseMillis(s)
		}
		b := []byte(s)
		if b[dateTime-1] == 't' || b[dateTime-1] == ' ' {
			b[dateTime-1] = 'T'
		}
		if b[len(b)-1] == 'z' {
			b[len(b)-1] = 'Z'
		}
		if t, err = time.Parse(time.RFC3339Nano, string(b)); err != nil {
			return 0, false
		}
	}
	if y := t.Year(); y < 1678 || y > 2261 {
		return 0, false
	}
	return t.UnixNano(), true
}

// parseMillis reads milliseconds since 1970, with up to six decimals, as nanoseconds.
func parseMillis(s string) (ns int64, ok bool) {
	whole, fraction, point := strings.Cut(s, ".")
	ms, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || ms > 9e12 || ms < -9e12 {
		return 0, false
	}
	if !point {
		return ms * 1e6, true
	}
	f, err := strconv.ParseUint(fraction, 10, 64)
	if err != nil || len(fraction) > 6 {
		return 0, false
	}
	for range 6 - len(fraction) {
		f *= 10
	}
	if s[0] == '-' {
		return ms*1e6 - int64(f), true
	}
	return ms*1e6 + int64(f), true
}

// metadata takes the position and the client's own id out of @metadata.
func metadata(e *Event, v *fastjson.Value) error {
	if id := v.GetStringBytes("_id"); len(id) > 0 {
		e.Identity = string(id)
	}
	t := v.Get("tally")
	if t == nil || t.Type() == fastjson.TypeNull {
		return nil
	}
	if t.Get("control") != nil {
		c, err := control(t)
		e.Control = c
		return err
	}
	p, err := position(t)
	if err == nil {
		err = p.Validate()
	}
	if err != nil {
		return fmt.Errorf("@metadata.tally: %w", err)
	}
	e.Position = p
	return nil
}

func position(v *fastjson.Value) (p ledger.Position, err error) {
	if v.Type() != fastjson.TypeObject {
		return p, ErrNotObject
	}
	num := func(v *fastjson.Value, key string, need bool, to *int64) {
		if err != nil {
			return
		}
		f := v.Get(key)
		if f == nil && !need {
			return
		}
		if *to, err = f.Int64(); err != nil {
			err = fmt.Errorf("%s is no 64-bit integer", key)
		}
	}
	if v.Get("from") == nil || v.Get("to") == nil {
		return p, errors.New("from or to is missing")
	}
	p.Source = string(v.GetStringBytes("source"))
	p.Sum = string(v.GetStringBytes("sum"))
	num(v, "from", true, &p.From)
	num(v, "to", true, &p.To)
	num(v, "skipped", false, &p.Skipped)
	num(v, "part", false, &p.Part)
	for _, r := range v.GetArray("ranges") {
		a, aerr := r.Array()
		if aerr != nil || len(a) != 2 {
			return p, errors.New("ranges is not a list of [from, to]")
		}
		from, ferr := a[0].Int64()
		to, terr := a[1].Int64()
		if ferr != nil || terr != nil {
			return p, errors.New("ranges is not a list of [from, to]")
		}
		p.Ranges = append(p.Ranges, ledger.Range{From: from, To: to})
	}
	return p, err
}

// cut shortens the longest values until the event fits, and says so.
func (e *Event) cut(size int) {
	for size > MaxEvent {
		longest := 0
		for i := range e.Fields {
			if len(e.Fields[i].Value) > len(e.Fields[longest].Value) {
				longest = i
			}
		}
		f := &e.Fields[longest]
		keep := max(64, len(f.Value)-(size-MaxEvent))
		for keep > 0 && !utf8.RuneStart(f.Value[keep]) {
			keep--
		}
		size -= len(f.Value) - keep
		f.Value = strings.Clone(f.Value[:keep])
		if f.Kind == JSON || f.Kind == Number {
			f.Kind = String
		}
		if len(f.Value) <= 64 {
			break // a thousand short values cannot exceed the bound
		}
	}
	e.PutField(Field{Name: TruncatedField, Value: "true", Kind: Bool})
}

// reason is the parser's message, without its prefix and without quoting a whole hostile line back.
func reason(err error) string {
	s := strings.TrimPrefix(err.Error(), "cannot parse JSON: ")
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "\uFFFD") + "…"
	}
	return s
}
