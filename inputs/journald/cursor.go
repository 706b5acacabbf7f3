package journald

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// id128 is an identifier of systemd: sd-id128(3).
type id128 [16]byte

func (i id128) String() string { return hex.EncodeToString(i[:]) }

func (i id128) isZero() bool { return i == id128{} }

func parseID128(s string) (id id128, err error) {
	if len(s) != 32 {
		return id, errors.New("not 32 hexadecimal digits")
	}
	_, err = hex.Decode(id[:], []byte(s))
	return id, err
}

// cursor is what identifies an entry: sd_journal_get_cursor(3). The text is documented as opaque; its form has been the
// same in all versions of systemd, and this package writes it back in the same form.
type cursor struct {
	seqID     id128  // s: the journal
	seq       uint64 // i: the entry's sequence number in it
	boot      id128  // b
	monotonic uint64 // m: microseconds since boot
	realtime  uint64 // t: microseconds since 1970
	xor       uint64 // x: checksum over the entry's fields
}

func (c cursor) String() string {
	b := make([]byte, 0, 160)
	hexadecimal := func(name string, n uint64) {
		b = strconv.AppendUint(append(b, name...), n, 16)
	}
	b = hex.AppendEncode(append(b, "s="...), c.seqID[:])
	hexadecimal(";i=", c.seq)
	b = hex.AppendEncode(append(b, ";b="...), c.boot[:])
	hexadecimal(";m=", c.monotonic)
	hexadecimal(";t=", c.realtime)
	hexadecimal(";x=", c.xor)
	return string(b)
}

// parseCursor reads the text form. Sequence-number id and sequence number must be there, other parts may be missing;
// unknown parts are ignored.
func parseCursor(s string) (c cursor, err error) {
	var hasID, hasSeq bool
	for part := range strings.SplitSeq(s, ";") {
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			return cursor{}, fmt.Errorf("cannot parse cursor %q: part %q is no assignment", s, part)
		}
		switch name {
		case "s":
			hasID = true
			c.seqID, err = parseID128(value)
		case "i":
			hasSeq = true
			c.seq, err = strconv.ParseUint(value, 16, 64)
		case "b":
			c.boot, err = parseID128(value)
		case "m":
			c.monotonic, err = strconv.ParseUint(value, 16, 64)
		case "t":
			c.realtime, err = strconv.ParseUint(value, 16, 64)
		case "x":
			c.xor, err = strconv.ParseUint(value, 16, 64)
		}
		if err != nil {
			return cursor{}, fmt.Errorf("cannot parse cursor %q: part %q: %w", s, part, err)
		}
	}
	if !hasID || !hasSeq {
		return cursor{}, fmt.Errorf("cannot parse cursor %q: no sequence number", s)
	}
	return c, nil
}
