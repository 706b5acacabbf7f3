package embedded

import (
	"strconv"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/logstorage"
)

// logstorage gathers rows of many batches in buffers that it empties each second, and makes blocks of one stream of them.
// A block has at most maxColumns names; rows that would bring more are dropped with a warning. So the names are counted
// here for each stream, over all rows that may still be in a buffer.
const (
	parts     = 8                      // streams of a bucket; all but the first are for batches with very many names
	crowded   = maxColumns / 2         // names of a stream above which the buffers are emptied before the next batch
	forFolded = ownColumns + 3         // what foldAll leaves: our own, the message, and what says that it was folded
	mostNames = maxColumns - forFolded // so that a folded row fits into any stream
)

type columns struct{ streams [buckets * parts]stream }

type stream struct {
	names  map[string]struct{}
	last   []string // names of the last row: most rows have those of the row before
	widest int      // columns of the widest row
}

// crowded tells whether a stream has so many names that a batch might not fit.
func (c *columns) crowded() bool {
	for i := range c.streams {
		if len(c.streams[i].names) > crowded {
			return true
		}
	}
	return false
}

// reset forgets all names; the buffers are empty.
func (c *columns) reset() { *c = columns{} }

// place finds a stream of the bucket whose blocks can take the row, or -1.
func (c *columns) place(bucket int, row []logstorage.Field) int {
	for n := bucket; n < len(c.streams); n += buckets {
		if c.streams[n].take(row) {
			return n
		}
	}
	return -1
}

func (s *stream) take(row []logstorage.Field) bool {
	if s.sameAsLast(row) {
		return true
	}
	fresh := 0
	for i := range row {
		if _, known := s.names[row[i].Name]; !known {
			fresh++
		}
	}
	// logstorage refuses a row when the names so far and all of the row's are too many together, known ones counted twice.
	if widest := max(s.widest, len(row)); len(s.names)+fresh+widest > mostNames && len(s.names) > 0 {
		return false
	}
	if s.names == nil {
		s.names = make(map[string]struct{}, len(row))
	}
	s.widest = max(s.widest, len(row))
	s.last = s.last[:0]
	for i := range row {
		name := row[i].Name
		s.last = append(s.last, name)
		if fresh > 0 {
			s.names[name] = struct{}{}
		}
	}
	return true
}

func (s *stream) sameAsLast(row []logstorage.Field) bool {
	if len(row) != len(s.last) {
		return false
	}
	for i := range row {
		if row[i].Name != s.last[i] {
			return false
		}
	}
	return true
}

// streamFields are the tags of each stream. Nothing reads them: streams only decide which rows share blocks.
var streamFields = func() (f [buckets * parts][]logstorage.Field) {
	for i := range f {
		f[i] = []logstorage.Field{{Name: "bucket", Value: strconv.Itoa(i)}}
	}
	return f
}()
