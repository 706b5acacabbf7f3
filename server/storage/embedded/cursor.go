package embedded

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/tallylog/tally/server/storage"
)

// key is the place of a row in the order of the store: by time, then by position, then by id. Rows without a position stand
// where from is 0.
type key struct {
	time int64
	from int64
	id   string
}

func (a key) compare(b key) int {
	return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.from, b.from), strings.Compare(a.id, b.id))
}

// cursorVersion is the first byte of a cursor: then a hash of the query, the time, from, and the id, in base64.
const cursorVersion = 1

func formatCursor(k key, hash uint64) string {
	b := append(make([]byte, 0, 25+len(k.id)), cursorVersion)
	b = binary.BigEndian.AppendUint64(b, hash)
	b = binary.BigEndian.AppendUint64(b, uint64(k.time))
	b = binary.BigEndian.AppendUint64(b, uint64(k.from))
	return base64.RawURLEncoding.EncodeToString(append(b, k.id...))
}

func parseCursor(s string, hash uint64) (key, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) < 25 || b[0] != cursorVersion || binary.BigEndian.Uint64(b[1:]) != hash {
		return key{}, storage.ErrCursor
	}
	return key{time: int64(binary.BigEndian.Uint64(b[9:])), from: int64(binary.BigEndian.Uint64(b[17:])), id: string(b[25:])}, nil
}

// queryHash tells queries apart. The bounds of time are left out: those relative to the clock move between two pages.
func queryHash(r *storage.RowsRequest) uint64 {
	b := binary.BigEndian.AppendUint32(nil, r.Tenant)
	if r.Asc {
		b = append(b, 'a')
	}
	return xxhash.Sum64(append(append(b, 0), filter(r.Expr)...))
}
