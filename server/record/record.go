package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
)

// NoteKind says what a Note tells the account.
type NoteKind uint8

// The kinds of notes; the numbers are on disk.
const (
	Skipped NoteKind = iota + 1
	Lost
	Complete
	Conflicts
	Name
	Status
	Attributes
)

// Note tells the account something that no event carries.
type Note struct {
	Kind   NoteKind
	Source string
	Range  ledger.Range // To 0 means: not known
	Count  int64
	Text   string // of Lost the reason, or "missing: " and a text of the client; of Skipped what filtered it on the server; of Status and Attributes a JSON object
}

// Batch is the content of one record.
type Batch struct {
	Tenant   uint32
	Client   string // client identity: the name of the token, user or certificate
	Received int64  // nanoseconds since 1970 UTC
	Notes    []Note
	Events   []event.Event
	// Rejected are events that a pipeline has taken out of Events, for the dead letters. They are not part of the encoded batch:
	// admission makes letters of them before it writes the rest, and notes their ranges as lost.
	Rejected []Rejected
}

// Skip notes the range of an event that leaves the batch: what was skipped before it and, where no other event has taken that over,
// the range of its own, with what has filtered it. Ranges that touch become one note. Without a position there is nothing to
// note.
func (b *Batch) Skip(p *ledger.Position, own bool, by string) {
	if p.Source == "" {
		return
	}
	add := func(r ledger.Range, by string) {
		if n := len(b.Notes); n > 0 {
			last := &b.Notes[n-1]
			if last.Kind == Skipped && last.Source == p.Source && last.Text == by && last.Range.To == r.From {
				last.Range.To = r.To
				return
			}
		}
		b.Notes = append(b.Notes, Note{Kind: Skipped, Source: p.Source, Range: r, Text: by})
	}
	if p.Skipped > 0 {
		add(ledger.Range{From: p.From - p.Skipped, To: p.From}, "")
	}
	if own {
		p.Pieces(func(r ledger.Range) { add(r, by) })
	}
}

// Rejected is an event that cannot be stored as it is.
type Rejected struct {
	Event  event.Event // as it came
	By     string      // the pipeline
	Reason string
	// Confined says that its client may write to the namespace and the cluster that the event names and perhaps to no other.
	Confined bool
}

const version = 1

// ErrFormat means bytes that are no encoded batch.
var ErrFormat = errors.New("not an encoded batch")

// Append appends the encoded batch to dst. See FORMAT.md.
func Append(dst []byte, b *Batch) []byte {
	words := wordList{index: make(map[string]int, 64)}
	for i := range b.Notes {
		words.add(b.Notes[i].Source)
	}
	for i := range b.Events {
		e := &b.Events[i]
		if e.HasPosition() {
			words.add(e.Position.Source)
		}
		for j := range e.Fields {
			words.add(e.Fields[j].Name)
		}
	}
	dst = append(dst, version)
	dst = binary.AppendUvarint(dst, uint64(b.Tenant))
	dst = appendText(dst, b.Client)
	dst = binary.AppendVarint(dst, b.Received)
	dst = binary.AppendUvarint(dst, uint64(len(words.list)))
	for _, w := range words.list {
		dst = appendText(dst, w)
	}
	dst = binary.AppendUvarint(dst, uint64(len(b.Notes)))
	for i := range b.Notes {
		n := &b.Notes[i]
		dst = binary.AppendUvarint(dst, uint64(n.Kind))
		dst = binary.AppendUvarint(dst, uint64(words.add(n.Source)))
		dst = binary.AppendUvarint(dst, uint64(n.Range.From))
		dst = binary.AppendUvarint(dst, uint64(n.Range.To))
		dst = binary.AppendUvarint(dst, uint64(n.Count))
		dst = appendText(dst, n.Text)
	}
	dst = binary.AppendUvarint(dst, uint64(len(b.Events)))
	for i := range b.Events {
		dst = appendEvent(dst, &b.Events[i], b.Received, &words)
	}
	return dst
}

func appendEvent(dst []byte, e *event.Event, received int64, words *wordList) []byte {
	dst = appendText(dst, e.ID)
	dst = binary.AppendVarint(dst, e.Time-received)
	if e.HasPosition() {
		p := &e.Position
		dst = binary.AppendUvarint(dst, uint64(words.add(p.Source))+1)
		dst = binary.AppendUvarint(dst, uint64(p.From))
		dst = binary.AppendUvarint(dst, uint64(p.To-p.From))
		dst = binary.AppendUvarint(dst, uint64(p.Skipped))
		dst = binary.AppendUvarint(dst, uint64(p.Part))
		dst = appendText(dst, p.Sum)
		dst = binary.AppendUvarint(dst, uint64(len(p.Ranges)))
		at := p.From
		for _, r := range p.Ranges {
			dst = binary.AppendUvarint(dst, uint64(r.From-at))
			dst = binary.AppendUvarint(dst, uint64(r.Len()))
			at = r.To
		}
	} else {
		dst = append(dst, 0)
	}
	dst = appendText(dst, e.Identity)
	dst = binary.AppendUvarint(dst, uint64(len(e.Fields)))
	for j := range e.Fields {
		f := &e.Fields[j]
		dst = binary.AppendUvarint(dst, uint64(words.add(f.Name)))
		dst = append(dst, byte(f.Kind))
		dst = appendText(dst, f.Value)
	}
	return dst
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// wordList gives each distinct text a number. Names repeat from event to event in the same order, so the last hit's
// neighbour is tried before the map.
type wordList struct {
	list  []string
	index map[string]int
	next  int
}

func (w *wordList) add(s string) int {
	if w.next < len(w.list) && same(w.list[w.next], s) {
		w.next++
		return w.next - 1
	}
	i, ok := w.index[s]
	if !ok {
		i = len(w.list)
		w.list = append(w.list, s)
		w.index[s] = i
	}
	w.next = i + 1
	return i
}

// same compares cheaply first: the decoder interns names, so equal ones usually share memory.
func same(a, b string) bool {
	return len(a) == len(b) && (unsafe.StringData(a) == unsafe.StringData(b) || a == b)
}

// Decode reads a batch. Its strings share memory with payload, which must not be changed afterwards.
func Decode(payload []byte) (*Batch, error) {
	d := decoder{s: unsafe.String(unsafe.SliceData(payload), len(payload))}
	if d.byte() != version {
		return nil, fmt.Errorf("%w: unknown version", ErrFormat)
	}
	b := &Batch{Tenant: uint32(d.uint()), Client: d.text(), Received: d.int()}
	words := make([]string, d.count(1))
	for i := range words {
		words[i] = d.text()
	}
	if n := d.count(6); n > 0 {
		b.Notes = make([]Note, n)
	}
	for i := range b.Notes {
		b.Notes[i] = Note{
			Kind: NoteKind(d.uint()), Source: d.word(words),
			Range: ledger.Range{From: d.offset(), To: d.offset()}, Count: int64(d.uint()), Text: d.text(),
		}
	}
	if n := d.count(5); n > 0 {
		b.Events = make([]event.Event, n)
	}
	for i := range b.Events {
		d.event(&b.Events[i], b.Received, words)
		if d.bad {
			break
		}
	}
	if d.bad || len(d.s) > 0 {
		return nil, ErrFormat
	}
	return b, nil
}

func (d *decoder) event(e *event.Event, received int64, words []string) {
	e.ID = d.text()
	e.Time = received + d.int()
	if src := d.uint(); src > 0 {
		if src > uint64(len(words)) {
			d.bad = true
			return
		}
		p := &e.Position
		p.Source = words[src-1]
		p.From = d.offset()
		p.To = p.From + d.offset()
		p.Skipped = d.offset()
		p.Part = d.offset()
		p.Sum = d.text()
		if n := d.count(2); n > 0 {
			p.Ranges = make([]ledger.Range, n)
		}
		at := p.From
		for i := range p.Ranges {
			from := at + d.offset()
			at = from + d.offset()
			p.Ranges[i] = ledger.Range{From: from, To: at}
		}
		if d.bad || p.Validate() != nil {
			d.bad = true
			return
		}
	}
	e.Identity = d.text()
	e.Fields = make([]event.Field, d.count(3))
	for i := range e.Fields {
		e.Fields[i] = event.Field{Name: d.word(words), Kind: event.Kind(d.byte()), Value: d.text()}
	}
}

// decoder reads from s until something does not fit; then it is bad for good and gives zeros.
type decoder struct {
	s   string
	bad bool
}

func (d *decoder) byte() byte {
	if len(d.s) == 0 {
		d.bad = true
		return 0
	}
	c := d.s[0]
	d.s = d.s[1:]
	return c
}

func (d *decoder) uint() uint64 {
	var x uint64
	for shift := 0; shift < 64; shift += 7 {
		if len(d.s) == 0 {
			break
		}
		c := d.s[0]
		d.s = d.s[1:]
		x |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return x
		}
	}
	d.bad = true
	return 0
}

func (d *decoder) int() int64 {
	u := d.uint()
	return int64(u>>1) ^ -int64(u&1)
}

// offset reads a number that must be a possible position.
func (d *decoder) offset() int64 {
	u := d.uint()
	if u > uint64(ledger.MaxOffset) {
		d.bad = true
		return 0
	}
	return int64(u)
}

// count reads the number of items that need at least size bytes each, so that no count makes more memory than its input.
func (d *decoder) count(size int) int {
	n := d.uint()
	if n > uint64(len(d.s)/size) {
		d.bad = true
		return 0
	}
	return int(n)
}

func (d *decoder) text() string {
	n := d.uint()
	if n > uint64(len(d.s)) {
		d.bad = true
		return ""
	}
	t := d.s[:n]
	d.s = d.s[n:]
	return t
}

func (d *decoder) word(words []string) string {
	i := d.uint()
	if i >= uint64(len(words)) {
		d.bad = true
		return ""
	}
	return words[i]
}
