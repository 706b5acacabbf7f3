package journald

import (
	"encoding/binary"
	"math/bits"
)

// lostMessage tells that the entry has no message because its file is damaged: libsystemd leaves out the fields that it cannot read
// and does not say so. The entry's checksum is that of all its fields (systemd's JOURNAL_FILE_FORMAT document, xor_hash of entry
// objects), so it shows what is missing.
func (e *entry) lostMessage() bool {
	if e.cut || e.xor == 0 || e.get("MESSAGE") != nil {
		return false
	}
	missing := e.xor
	for i := range e.fields {
		missing ^= e.fields[i].hash()
	}
	// A field that was written twice with the same value is in the checksum twice, which is not at all, and is read once.
	for i := range e.fields {
		if missing == e.fields[i].hash() {
			return false
		}
	}
	return missing != 0
}

func (f *field) hash() uint64 {
	b := make([]byte, 0, len(f.name)+1+len(f.value))
	return jenkins64(append(append(append(b, f.name...), '='), f.value...))
}

// jenkins64 is the hash by which systemd sums up entries: hashlittle2 of Bob Jenkins' lookup3 with both seeds zero, the first result as
// the upper half (burtleburtle.net/bob/c/lookup3.c, public domain).
func jenkins64(p []byte) uint64 {
	a := 0xdeadbeef + uint32(len(p))
	b, c := a, a
	if len(p) == 0 {
		return uint64(c)<<32 | uint64(b)
	}
	for ; len(p) > 12; p = p[12:] {
		a += binary.LittleEndian.Uint32(p)
		b += binary.LittleEndian.Uint32(p[4:])
		c += binary.LittleEndian.Uint32(p[8:])
		a -= c
		a ^= bits.RotateLeft32(c, 4)
		c += b
		b -= a
		b ^= bits.RotateLeft32(a, 6)
		a += c
		c -= b
		c ^= bits.RotateLeft32(b, 8)
		b += a
		a -= c
		a ^= bits.RotateLeft32(c, 16)
		c += b
		b -= a
		b ^= bits.RotateLeft32(a, 19)
		a += c
		c -= b
		c ^= bits.RotateLeft32(b, 4)
		b += a
	}
	var last [12]byte
	copy(last[:], p)
	a += binary.LittleEndian.Uint32(last[:])
	b += binary.LittleEndian.Uint32(last[4:])
	c += binary.LittleEndian.Uint32(last[8:])
	c ^= b
	c -= bits.RotateLeft32(b, 14)
	a ^= c
	a -= bits.RotateLeft32(c, 11)
	b ^= a
	b -= bits.RotateLeft32(a, 25)
	c ^= b
	c -= bits.RotateLeft32(b, 16)
	a ^= c
	a -= bits.RotateLeft32(c, 4)
	b ^= a
	b -= bits.RotateLeft32(a, 14)
	c ^= b
	c -= bits.RotateLeft32(b, 24)
	return uint64(c)<<32 | uint64(b)
}
