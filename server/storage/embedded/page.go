package embedded

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/query"
	"github.com/tallylog/tally/server/storage"
)

// Bounds of a page. While it is filled it may hold twice as much.
const (
	pageBytes = 32 << 20
	firstPage = 2000 // rows, until their size is known
	mostRows  = 100_000
	rowCost   = 128 // bytes of memory that a row takes beside its names and values
	fieldCost = 40
)

// page collects the first rows, in the order of a request, of those it is shown.
type page struct {
	asc    bool
	wanted map[string]bool   // names of fields; nil for all
	names  map[string]string // of columns seen, towards readers; empty when hidden

	want       int
	behind     key // rows up to this one are passed over
	hasBehind  bool
	rows       []pageRow
	bytes      int
	overflowed bool // rows behind the last of rows were left out
	perRow     int  // average bytes of a row so far; 0 when none is known

	// Scratch for one block.
	cols []pageColumn
}

type pageRow struct {
	event event.Event
	from  int64
	bytes int
}

func (r *pageRow) key() key { return key{time: r.event.Time, from: r.from, id: r.event.ID} }

type pageColumn struct {
	name   string
	values []string
}

func newPage(r *storage.RowsRequest) *page {
	p := &page{asc: r.Asc, names: map[string]string{}}
	if len(r.Fields) > 0 {
		p.wanted = map[string]bool{event.Message: true}
		for _, f := range r.Fields {
			p.wanted[f] = true
		}
	}
	return p
}

// size is the number of rows that a page should be asked for.
func (p *page) size() int {
	if p.perRow == 0 {
		return firstPage
	}
	return min(max(1, pageBytes/p.perRow), mostRows)
}

func (p *page) reset(want int, behind key, hasBehind bool) {
	clear(p.rows)
	p.rows, p.bytes, p.overflowed = p.rows[:0], 0, false
	p.want, p.behind, p.hasBehind = want, behind, hasBehind
}

// compare orders rows as they are delivered.
func (p *page) compare(a, b key) int {
	if p.asc {
		return a.compare(b)
	}
	return b.compare(a)
}

// add takes the rows of a block.
func (p *page) add(b *block) error {
	times, err := b.times()
	if err != nil {
		return err
	}
	ids, froms := b.column(colID), b.column(colFrom)
	p.setColumns(b)
	for i := range b.n {
		k := key{time: times[i], id: query.FieldValue(ids[i])}
		if froms[i] != "" {
			if k.from, err = strconv.ParseInt(froms[i], 10, 64); err != nil {
				return fmt.Errorf("position of event %s: %w", ids[i], err)
			}
		}
		if p.hasBehind && p.compare(k, p.behind) <= 0 {
			continue
		}
		if p.overflowed && p.compare(k, p.rows[p.full()-1].key()) > 0 {
			continue
		}
		p.rows = append(p.rows, p.copyRow(k, i))
		p.bytes += p.rows[len(p.rows)-1].bytes
		if len(p.rows) >= 2*p.want || p.bytes > 2*pageBytes {
			p.trim()
		}
	}
	return nil
}

// full is the number of rows that trim left, which are sorted; those added since stand behind them.
func (p *page) full() int { return p.want }

// setColumns notes the columns that become fields, sorted by their names.
func (p *page) setColumns(b *block) {
	p.cols = p.cols[:0]
	for _, c := range b.columns {
		name, known := p.names[c.Name]
		if !known {
			name = fieldName(c.Name)
			if p.wanted != nil && !p.wanted[name] {
				name = ""
			}
			p.names[strings.Clone(c.Name)] = name
		}
		if name != "" {
			p.cols = append(p.cols, pageColumn{name, c.Values})
		}
	}
	slices.SortFunc(p.cols, func(a, b pageColumn) int { return strings.Compare(a.name, b.name) })
}

// copyRow copies a row out of the block, into one piece of memory.
func (p *page) copyRow(k key, i int) pageRow {
	fields, size := 0, len(k.id)
	for _, c := range p.cols {
		if c.values[i] != "" {
			fields++
			size += len(c.values[i])
		}
	}
	var text strings.Builder
	text.Grow(size)
	text.WriteString(k.id)
	for _, c := range p.cols {
		text.WriteString(query.FieldValue(c.values[i]))
	}
	all := text.String()
	row := pageRow{from: k.from, bytes: rowCost + fields*fieldCost + size}
	row.event = event.Event{ID: all[:len(k.id)], Time: k.time, Fields: make([]event.Field, 0, fields)}
	all = all[len(k.id):]
	for _, c := range p.cols {
		if n := len(query.FieldValue(c.values[i])); n > 0 {
			row.event.Fields = append(row.event.Fields, event.Field{Name: c.name, Value: all[:n]})
			all = all[n:]
		}
	}
	return row
}

// trim sorts, and leaves out what is more than wanted or than fits the memory, though never the first row.
func (p *page) trim() {
	slices.SortFunc(p.rows, func(a, b pageRow) int { return p.compare(a.key(), b.key()) })
	keep, bytes := 0, 0
	for keep < min(len(p.rows), p.want) && (keep == 0 || bytes+p.rows[keep].bytes <= pageBytes) {
		bytes += p.rows[keep].bytes
		keep++
	}
	if keep < len(p.rows) {
		p.overflowed = true
		p.want = keep
	}
	clear(p.rows[keep:])
	p.rows, p.bytes = p.rows[:keep], bytes
}

// finish sorts the rows when all blocks are in.
func (p *page) finish() {
	p.trim()
	if len(p.rows) > 0 {
		p.perRow = max(1, p.bytes/len(p.rows))
	}
}
