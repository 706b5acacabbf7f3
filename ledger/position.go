package ledger

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
)

// MaxOffset is the largest unit a position may name. It leaves room to add lengths without overflow.
const MaxOffset = int64(1) << 62

// maxRanges bounds the pieces one event may be joined from.
const maxRanges = 4096

// maxName bounds the bytes of a source name and of a checksum.
const (
	maxSource = 512
	maxSum    = 64
)

// Range is the half-open interval [From, To) of a source, in the source's unit: bytes of a file, sequence numbers of a
// journal, lines of a push client.
type Range struct {
	From, To int64
}

// Len is the number of units in r.
func (r Range) Len() int64 { return r.To - r.From }

// Position is where an event stands in its source. It travels as @metadata.tally.
type Position struct {
	// Source names the append-only sequence.
	Source string
	// From and To are the range of the event itself; a line's newline belongs to it.
	From, To int64
	// Skipped is the number of units right before From that were read and deliberately not shipped.
	Skipped int64
	// Sum is a checksum of the raw bytes, as text; empty when the client has none.
	Sum string
	// Part tells apart several events made from one range; 0 for the first or only one.
	Part int64
	// Ranges lists the pieces of an event joined from several that do not touch. Empty for all others; otherwise From
	// and To span them.
	Ranges []Range
}

var errBounds = errors.New("bounds are not 0 <= from < to <= 2^62")

// Validate reports why p cannot be admitted: an empty or overlong source, bounds outside [0, MaxOffset], more units skipped
// than there are before From, or pieces that lie outside the range or overlap.
func (p *Position) Validate() error {
	switch {
	case p.Source == "" || len(p.Source) > maxSource:
		return fmt.Errorf("source has %d bytes, want 1 to %d", len(p.Source), maxSource)
	case len(p.Sum) > maxSum:
		return fmt.Errorf("sum has %d bytes, want at most %d", len(p.Sum), maxSum)
	case p.From < 0 || p.To <= p.From || p.To > MaxOffset:
		return fmt.Errorf("[%d, %d): %w", p.From, p.To, errBounds)
	case p.Skipped < 0 || p.Skipped > p.From:
		return fmt.Errorf("skipped %d lies outside [0, from %d]", p.Skipped, p.From)
	case p.Part < 0:
		return fmt.Errorf("part %d is negative", p.Part)
	case len(p.Ranges) > maxRanges:
		return fmt.Errorf("joined from %d pieces, at most %d are allowed", len(p.Ranges), maxRanges)
	}
	at := p.From
	for _, r := range p.Ranges {
		if r.From < at || r.To <= r.From || r.To > p.To {
			return fmt.Errorf("piece [%d, %d) lies outside [%d, %d) or out of order", r.From, r.To, p.From, p.To)
		}
		at = r.To
	}
	return nil
}

// Pieces calls f with each range the event covers, in order.
func (p *Position) Pieces(f func(Range)) {
	if len(p.Ranges) == 0 {
		f(Range{p.From, p.To})
		return
	}
	for _, r := range p.Ranges {
		f(r)
	}
}

// idEncoding writes 5 bits a character in lower case, so that an id is one word to every tokenizer.
var idEncoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// IDLen is the length of an event id in characters; 100 bits.
const IDLen = 20

// ID is the event id: a hash of source, range, part and checksum. The same line has the same id wherever and whenever it
// is computed; it is the _id of the query API and of Elasticsearch.
func (p *Position) ID() string {
	var a [256]byte
	b := append(a[:0], "tally.id.1\x00"...)
	b = binary.AppendUvarint(b, uint64(len(p.Source)))
	b = append(b, p.Source...)
	b = binary.AppendUvarint(b, uint64(p.From))
	b = binary.AppendUvarint(b, uint64(p.To))
	b = binary.AppendUvarint(b, uint64(p.Part))
	b = append(b, p.Sum...)
	return hashID(b)
}

// IdentityID is the event id of an event whose client gave it an identity of its own (a bulk _id, @metadata._id) in place
// of a position. tenant and index scope it.
func IdentityID(tenant uint32, index, identity string) string {
	b := append(make([]byte, 0, 64+len(index)+len(identity)), "tally.id.own\x00"...)
	b = binary.AppendUvarint(b, uint64(tenant))
	b = binary.AppendUvarint(b, uint64(len(index)))
	b = append(b, index...)
	b = append(b, identity...)
	return hashID(b)
}

// ArrivalID is the event id of an event without any identity: it is unique, not repeatable. seed is the boot's random
// number, n a counter.
func ArrivalID(seed uint64, n uint64) string {
	b := append(make([]byte, 0, 32), "tally.id.any\x00"...)
	b = binary.AppendUvarint(b, seed)
	b = binary.AppendUvarint(b, n)
	return hashID(b)
}

func hashID(b []byte) string {
	h := sha256.Sum256(b)
	var out [24]byte
	idEncoding.Encode(out[:], h[:15])
	return string(out[:IDLen])
}
