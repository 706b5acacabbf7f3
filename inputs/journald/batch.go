package journald

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// A packed batch is a sequence of entries, written by shim.c, numbers little-endian:
//
//	u32 length of what follows of this entry
//	u32 flags (1: a value was cut)
//	u64 sequence number   u64 realtime   u64 monotonic   u64 xor hash
//	16 bytes sequence-number id   16 bytes boot id
//	u32 number of fields, then each as u32 length and "NAME=value"
const (
	entryHeader = 4 + 4*8 + 2*16 + 4
	flagCut     = 1
)

var errPacked = errors.New("packed batch is damaged")

// entry is one journal entry. Its fields are windows into the batch and are valid as long as that is.
type entry struct {
	cursor
	cut    bool // a value was longer than maxValue
	fields []field
}

type field struct{ name, value []byte }

// unpack reads the first entry of b into e, reusing its memory, and returns the rest of b.
func (e *entry) unpack(b []byte) ([]byte, error) {
	if len(b) < 4 {
		return nil, errPacked
	}
	n := binary.LittleEndian.Uint32(b)
	b = b[4:]
	if n < entryHeader || uint64(n) > uint64(len(b)) {
		return nil, errPacked
	}
	p, rest := b[:n], b[n:]
	e.cut = binary.LittleEndian.Uint32(p)&flagCut != 0
	e.seq = binary.LittleEndian.Uint64(p[4:])
	e.realtime = binary.LittleEndian.Uint64(p[12:])
	e.monotonic = binary.LittleEndian.Uint64(p[20:])
	e.xor = binary.LittleEndian.Uint64(p[28:])
	copy(e.seqID[:], p[36:])
	copy(e.boot[:], p[52:])
	count := binary.LittleEndian.Uint32(p[68:])
	p = p[entryHeader:]
	e.fields = e.fields[:0]
	for ; count > 0; count-- {
		if len(p) < 4 {
			return nil, errPacked
		}
		l := binary.LittleEndian.Uint32(p)
		if p = p[4:]; uint64(l) > uint64(len(p)) {
			return nil, errPacked
		}
		// libsystemd does not promise that a field of a damaged file has a name.
		if name, value, ok := bytes.Cut(p[:l:l], []byte("=")); ok && len(name) > 0 {
			e.fields = append(e.fields, field{name, value})
		}
		p = p[l:]
	}
	if len(p) != 0 {
		return nil, errPacked
	}
	return rest, nil
}

// get returns the first value of the field, nil where there is none.
func (e *entry) get(name string) []byte {
	for i := range e.fields {
		if string(e.fields[i].name) == name {
			return e.fields[i].value
		}
	}
	return nil
}
