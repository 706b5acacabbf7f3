package proto

import (
	"encoding/binary"
	"unsafe"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/plugins/pluginapi"
)

// AppendBatch appends the declared fields of the events as a batch.
func AppendBatch(b []byte, events []*event.Event, reads *Fields) []byte {
	t := table{reads: reads, index: make(map[string]int, 64)}
	// The body is written first, as it finds the names, and then moved behind them.
	start := len(b)
	for _, e := range events {
		b = t.event(b, e)
	}
	body := len(b) - start
	b = append(b, pluginapi.WireVersion)
	b = binary.AppendUvarint(b, uint64(len(t.names)))
	for _, n := range t.names {
		b = appendText(b, n)
	}
	b = binary.AppendUvarint(b, uint64(len(events)))
	head := append([]byte(nil), b[start+body:]...)
	copy(b[start+len(head):], b[start:start+body])
	copy(b[start:], head)
	return b
}

// Size is about how many bytes an event takes in a batch.
func Size(e *event.Event) int {
	n := 16
	for i := range e.Fields {
		n += len(e.Fields[i].Value) + 8
	}
	return n
}

// table numbers the names that travel. Events of a batch have the same names in the same order, so the entry after the last hit is
// tried before the map.
type table struct {
	reads   *Fields
	names   []string
	entries []entry
	index   map[string]int // into entries
	next    int
	travels []int // scratch: number of the name and index of the field, for each field that travels
}

type entry struct {
	name   string
	number int // -1 where the field does not travel
}

func (t *table) event(b []byte, e *event.Event) []byte {
	at := int64(0)
	if t.reads.time {
		at = e.Time
	}
	b = binary.AppendVarint(b, at)
	t.travels = t.travels[:0]
	for i := range e.Fields {
		if n := t.number(e.Fields[i].Name); n >= 0 {
			t.travels = append(t.travels, n, i)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(t.travels)/2))
	for j := 0; j < len(t.travels); j += 2 {
		f := &e.Fields[t.travels[j+1]]
		b = binary.AppendUvarint(b, uint64(t.travels[j]))
		b = append(b, byte(f.Kind))
		b = appendText(b, f.Value)
	}
	return b
}

func (t *table) number(name string) int {
	if t.next < len(t.entries) && same(t.entries[t.next].name, name) {
		t.next++
		return t.entries[t.next-1].number
	}
	i, ok := t.index[name]
	if !ok {
		i = len(t.entries)
		n := -1
		if t.reads.Has(name) {
			n = len(t.names)
			t.names = append(t.names, name)
		}
		t.entries = append(t.entries, entry{name, n})
		t.index[name] = i
	}
	t.next = i + 1
	return t.entries[i].number
}

// same compares cheaply first: names are interned where events are read.
func same(a, b string) bool {
	return len(a) == len(b) && (unsafe.StringData(a) == unsafe.StringData(b) || a == b)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
