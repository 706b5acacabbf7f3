package elasticsearch

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/query"
	"github.com/tallylog/tally/server/storage"
)

// place is where an event stands in the order of rows: by time, then by position, then by id. Events without a position stand
// where from is 0.
type place struct {
	time int64
	from int64
	id   string
}

func placeOf(e *event.Event) place {
	p := place{time: e.Time, id: e.ID}
	if from, ok := e.Get(fieldFrom); ok {
		p.from, _ = strconv.ParseInt(from, 10, 64)
	}
	return p
}

func (a place) compare(b place) int {
	return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.from, b.from), strings.Compare(a.id, b.id))
}

// cursorVersion is the first byte of a cursor: then a hash of the query, the time, from, and the id, in base64.
const cursorVersion = 2 // 1 is that of the embedded store

func formatCursor(p place, hash uint64) string {
	b := append(make([]byte, 0, 25+len(p.id)), cursorVersion)
	b = binary.BigEndian.AppendUint64(b, hash)
	b = binary.BigEndian.AppendUint64(b, uint64(p.time))
	b = binary.BigEndian.AppendUint64(b, uint64(p.from))
	return base64.RawURLEncoding.EncodeToString(append(b, p.id...))
}

func parseCursor(s string, hash uint64) (place, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) < 25 || b[0] != cursorVersion || binary.BigEndian.Uint64(b[1:]) != hash {
		return place{}, storage.ErrCursor
	}
	return place{time: int64(binary.BigEndian.Uint64(b[9:])), from: int64(binary.BigEndian.Uint64(b[17:])), id: string(b[25:])}, nil
}

// queryHash tells queries apart. The bounds of time are left out: those relative to the clock move between two pages.
func queryHash(r *storage.RowsRequest) uint64 {
	b := binary.BigEndian.AppendUint32(nil, r.Tenant)
	if r.Asc {
		b = append(b, 'a')
	}
	e := r.Expr
	if e == nil {
		e = query.All{}
	}
	return xxhash.Sum64(append(append(b, 0), query.Format(e)...))
}
