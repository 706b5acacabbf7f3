package journald

import (
	"encoding/binary"
	"encoding/json"
	"reflect"
	"testing"
)

const someCursor = "s=3e1f690a1b7e4bf9a4db45f83d5fc042;i=2a;b=0123456789abcdef0123456789abcdef;m=3e8;t=60a24181e4000;x=6634d7cb9c037ce5"

func TestParseCursor(t *testing.T) {
	c, err := parseCursor(someCursor)
	if err != nil || c.seq != 42 || c.monotonic != 1000 || c.realtime != baseTime || c.xor != 0x6634d7cb9c037ce5 || c.boot.String() != testBoot {
		t.Errorf("%+v, %v", c, err)
	}
	if c.String() != someCursor {
		t.Errorf("written back as %q", c)
	}
	for _, bad := range []string{"", "x", "i=1", "s=3e1f690a1b7e4bf9a4db45f83d5fc042", "s=3e;i=1", "s=3e1f690a1b7e4bf9a4db45f83d5fc042;i=g", someCursor + ";", someCursor + ";b=1"} {
		if c, err := parseCursor(bad); err == nil {
			t.Errorf("%q is read as %+v", bad, c)
		}
	}
}

func FuzzParseCursor(f *testing.F) {
	f.Add(someCursor)
	f.Add("s=3e1f690a1b7e4bf9a4db45f83d5fc042;i=1")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := parseCursor(s)
		if err != nil {
			return
		}
		if again, err := parseCursor(c.String()); err != nil || again != c {
			t.Errorf("%q is %+v, and read again %+v, %v", s, c, again, err)
		}
	})
}

// pack is what shim.c does.
func pack(e *entry) []byte {
	b := make([]byte, 4+entryHeader)
	if e.cut {
		b[4] = flagCut
	}
	for i, v := range []uint64{e.seq, e.realtime, e.monotonic, e.xor} {
		binary.LittleEndian.PutUint64(b[8+8*i:], v)
	}
	copy(b[40:], e.seqID[:])
	copy(b[56:], e.boot[:])
	binary.LittleEndian.PutUint32(b[72:], uint32(len(e.fields)))
	for _, f := range e.fields {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(f.name)+1+len(f.value)))
		b = append(append(append(b, f.name...), '='), f.value...)
	}
	binary.LittleEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

func FuzzUnpack(f *testing.F) {
	e := fieldsOf("MESSAGE=a", "B=", "C=d=e")
	e.seq, e.realtime, e.monotonic, e.xor, e.cut = 1, 2, 3, 4, true
	f.Add(append(pack(e), pack(fieldsOf())...))
	f.Add(pack(fieldsOf("A=1"))[:70])
	f.Fuzz(func(t *testing.T, b []byte) {
		var e entry
		for len(b) > 0 {
			rest, err := e.unpack(b)
			if err != nil {
				return
			}
			if len(rest) >= len(b) {
				t.Fatal("nothing was taken")
			}
			var again entry
			if left, err := again.unpack(pack(&e)); err != nil || len(left) != 0 || again.cursor != e.cursor || again.cut != e.cut || len(again.fields) != len(e.fields) {
				t.Fatalf("%+v is packed and unpacked as %+v, %v", e, again, err)
			}
			for i, f := range e.fields {
				if !reflect.DeepEqual(f, again.fields[i]) && (len(f.value) > 0 || len(again.fields[i].value) > 0) {
					t.Fatalf("field %q=%q comes back as %q=%q", f.name, f.value, again.fields[i].name, again.fields[i].value)
				}
			}
			b = rest
		}
	})
}

func FuzzHeader(f *testing.F) {
	var b [headerBytes]byte
	copy(b[:], "LPKSHHRH")
	f.Add(b[:])
	f.Fuzz(func(t *testing.T, raw []byte) {
		var b [headerBytes]byte
		copy(b[:], raw)
		h, err := parseHeader(&b)
		if err == nil && h.entries > 0 && (h.head == 0 || h.head > h.tail) {
			t.Errorf("%+v is taken for good", h)
		}
	})
}

// TestShimMatchesUnpack holds the two sides of the packed form together: entries written to a file come out of the shim as they
// went in.
func TestShimMatchesUnpack(t *testing.T) {
	path := t.TempDir() + "/system.journal"
	new(export).add("MESSAGE", "hello", "EMPTY", "").write(t, path)
	r, err := openFiles([]string{path}, place{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	b, err := r.read()
	if err != nil {
		t.Fatal(err)
	}
	var e entry
	rest, err := e.unpack(b)
	if err != nil || len(rest) != 0 || e.seq != 1 || e.realtime != baseTime || e.monotonic != 1000 || e.boot.String() != testBoot || e.xor == 0 {
		t.Fatalf("%+v, %v", e, err)
	}
	if string(e.get("MESSAGE")) != "hello" || e.get("EMPTY") == nil || e.seqID != journalID(t, path) {
		t.Errorf("%+v", e)
	}
}

// FuzzPending: a file of pending events is refused, or gives entries that can be shipped.
func FuzzPending(f *testing.F) {
	f.Add([]byte("{}\n"))
	f.Add([]byte(`{"` + someCursor + `":{"@timestamp":"2023-11-14T22:13:20.000Z","journal":{"priority":6,"x":[1.5,{"y":18446744073709551615}]},"message":12}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		pending, err := parsePending(text)
		if err != nil {
			return
		}
		for id, entries := range pending {
			for seq, p := range entries {
				if p.cursor.seqID != id || p.cursor.seq != seq || seq == 0 || int64(seq+1) <= 0 {
					t.Errorf("entry %d of %s is %+v", seq, id, p.cursor)
				}
				fields, err := p.fields()
				if err != nil {
					t.Errorf("%s cannot be read again: %v", p.body, err)
				}
				if m, ok := fields["message"]; ok {
					if _, text := m.(string); !text {
						t.Errorf("the message is %T", m)
					}
				}
				if _, err := json.Marshal(fields); err != nil {
					t.Errorf("%v cannot be shipped: %v", fields, err)
				}
			}
		}
	})
}
