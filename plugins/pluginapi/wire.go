package pluginapi

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"
)

// WireVersion is the first byte of every batch and every answer; ../proto/FORMAT.md describes both.
const WireVersion = 1

// What became of an event; the numbers are on the wire.
const (
	Kept byte = iota
	Dropped
	Changed
	SplitUp
	Failed
)

// HasTime is the flag of a change that has a new time.
const HasTime byte = 1

var errBatch = errors.New("the batch is not what FORMAT.md says")

// decodeBatch reads a batch. The texts share memory with b.
func decodeBatch(b []byte) (events []*Event, err error) {
	d := decoder{s: unsafe.String(unsafe.SliceData(b), len(b))}
	if v := d.byte(); v != WireVersion {
		return nil, fmt.Errorf("the batch has version %d, this plugin knows %d", v, WireVersion)
	}
	names := make([]string, d.count(1))
	for i := range names {
		names[i] = d.text()
	}
	all := make([]Event, d.count(2))
	events = make([]*Event, len(all))
	for i := range all {
		e := &all[i]
		events[i] = e
		e.time = d.int()
		n := d.count(3)
		e.fields = make([]Field, n, n+2)
		for j := range e.fields {
			at := d.uint()
			if at >= uint64(len(names)) {
				d.bad = true
				break
			}
			e.fields[j] = Field{Name: names[at], Kind: Kind(d.byte()), Text: d.text()}
		}
		if d.bad {
			break
		}
	}
	if d.bad || d.s != "" {
		return nil, errBatch
	}
	return events, nil
}

// decoder reads from s until something does not fit; then it is bad for good and gives zeros.
type decoder struct {
	s   string
	bad bool
}

func (d *decoder) byte() byte {
	if d.s == "" {
		d.bad = true
		return 0
	}
	c := d.s[0]
	d.s = d.s[1:]
	return c
}

func (d *decoder) uint() (x uint64) {
	for shift := 0; shift < 64 && d.s != ""; shift += 7 {
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

// count reads the number of items of at least size bytes each: no count makes more memory than its input.
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

// appendAnswer writes what became of the events.
func appendAnswer(b []byte, events []*Event) []byte {
	names := nameList{index: map[string]int{}}
	for _, e := range events {
		if e.parts == nil {
			names.addAll(e)
		}
		for _, p := range e.parts {
			names.addAll(p)
		}
	}
	b = append(b, WireVersion)
	b = binary.AppendUvarint(b, uint64(len(names.list)))
	for _, n := range names.list {
		b = appendText(b, n)
	}
	b = binary.AppendUvarint(b, uint64(len(events)))
	for _, e := range events {
		b = appendResult(b, e, &names)
	}
	return b
}

func appendResult(b []byte, e *Event, names *nameList) []byte {
	switch {
	case e.failed != "":
		return appendText(append(b, Failed), e.failed)
	case len(e.parts) > 0:
		var left []*Event
		for _, p := range e.parts {
			if !p.dropped {
				left = append(left, p)
			}
		}
		if len(left) == 0 {
			return append(b, Dropped)
		}
		b = binary.AppendUvarint(append(b, SplitUp), uint64(len(left)))
		for _, p := range left {
			b = p.appendChange(b, names)
		}
		return b
	case e.dropped:
		return append(b, Dropped)
	case !e.touched():
		return append(b, Kept)
	}
	return e.appendChange(append(b, Changed), names)
}

// touched tells whether anything was done to the event.
func (e *Event) touched() bool {
	if e.setTime || len(e.removed) > 0 || len(e.tags) > 0 {
		return true
	}
	for i := range e.fields {
		if e.fields[i].set {
			return true
		}
	}
	return false
}

func (e *Event) appendChange(b []byte, names *nameList) []byte {
	if e.setTime {
		b = binary.AppendVarint(append(b, HasTime), e.time)
	} else {
		b = append(b, 0)
	}
	b = binary.AppendUvarint(b, uint64(len(e.removed)))
	for _, n := range e.removed {
		b = binary.AppendUvarint(b, uint64(names.add(n)))
	}
	n := 0
	for i := range e.fields {
		if e.fields[i].set {
			n++
		}
	}
	b = binary.AppendUvarint(b, uint64(n))
	for i := range e.fields {
		if f := &e.fields[i]; f.set {
			b = binary.AppendUvarint(b, uint64(names.add(f.Name)))
			b = appendText(append(b, byte(f.Kind)), f.Text)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(e.tags)))
	for _, t := range e.tags {
		b = appendText(b, t)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// nameList gives each name a number. Neighbours use the same names in the same order, so the one after the last hit is tried first.
type nameList struct {
	list  []string
	index map[string]int
	next  int
}

func (l *nameList) addAll(e *Event) {
	for _, n := range e.removed {
		l.add(n)
	}
	for i := range e.fields {
		if e.fields[i].set {
			l.add(e.fields[i].Name)
		}
	}
}

func (l *nameList) add(s string) int {
	if l.next < len(l.list) && l.list[l.next] == s {
		l.next++
		return l.next - 1
	}
	i, ok := l.index[s]
	if !ok {
		i = len(l.list)
		l.list = append(l.list, s)
		l.index[s] = i
	}
	l.next = i + 1
	return i
}
