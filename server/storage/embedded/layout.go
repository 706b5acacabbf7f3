package embedded

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/logstorage"
	"github.com/cespare/xxhash/v2"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/server/query"
)

// Columns that the store writes itself; FORMAT.md says what they hold. An event's field of such a name is folded.
const (
	colSeq    = "_b"
	colID     = "_id"
	colTime   = "_time"
	colMsg    = "_msg"
	colSource = "tally.source"
	colFrom   = "tally.from"
	colTo     = "tally.to"
	colRanges = "tally.ranges"
	colGlue   = query.GlueField
)

// ours tells whether a column is one that the store writes itself. Of those with one underscore an event can only name _id
// and _time; the others are escaped by query.StoreName.
func ours(column string) bool {
	switch column {
	case colSeq, colID, colTime, colSource, colFrom, colTo, colRanges, colGlue:
		return true
	}
	return false
}

// storable tells whether a field may be a column of its own. logstorage takes a star at the end of a name for a pattern,
// wherever a pipe names a column.
func storable(column string) bool {
	return column != "" && column != "_" && len(column) <= maxName && !strings.HasSuffix(column, "*") && !ours(column)
}

// Bounds of logstorage (its consts.go): what goes beyond is dropped there with a warning.
const (
	maxName    = 128  // bytes of a column's name
	maxColumns = 2000 // of one block
	ownColumns = 7
	maxRow     = 2 << 20 // bytes, counted as rowSize does
)

// rowBuilder turns events into rows. It keeps its buffers from row to row.
type rowBuilder struct {
	fields []logstorage.Field
	folded []byte
	over   string // the event's own OverflowField
	order  columnOrder
}

// build returns the columns of an event, valid until the next call, and the bucket of its workload.
func (b *rowBuilder) build(seq string, e *event.Event) ([]logstorage.Field, int) {
	b.fields = append(b.fields[:0], logstorage.Field{Name: colSeq, Value: seq}, logstorage.Field{Name: colID, Value: query.StoreValue(e.ID)})
	b.folded, b.over = b.folded[:0], ""
	if p := &e.Position; p.Source != "" {
		b.add(colSource, query.StoreValue(p.Source))
		b.add(colFrom, strconv.FormatInt(p.From, 10))
		b.add(colTo, strconv.FormatInt(p.To, 10))
		if len(p.Ranges) > 0 {
			b.add(colRanges, rangesText(p.Ranges))
		}
	}
	if glue := query.Glue(e); glue != "" {
		b.add(colGlue, glue)
	}
	var w workload
	room := event.MaxFields
	for i := range e.Fields {
		f := &e.Fields[i]
		if f.Value == "" { // logstorage has no empty values
			continue
		}
		w.note(f)
		column := query.StoreName(f.Name)
		switch {
		case f.Name == event.OverflowField:
			b.over = f.Value
		case room == 0 || !storable(column):
			b.fold(f.Name, f.Value)
		default:
			room--
			b.add(column, query.StoreValue(f.Value))
		}
	}
	b.addFolded()
	if rowSize(b.fields) > maxRow {
		b.cut()
	}
	return b.order.sorted(b.fields), w.bucket()
}

func (b *rowBuilder) add(name, value string) {
	b.fields = append(b.fields, logstorage.Field{Name: name, Value: value})
}

// fold puts a field that cannot be a column of its own into the JSON text of OverflowField, as the decoder does.
func (b *rowBuilder) fold(name, value string) {
	sep := byte(',')
	if len(b.folded) == 0 {
		sep = '{'
	}
	b.folded = append(b.folded, sep)
	b.folded = event.AppendQuoted(b.folded, name)
	b.folded = append(b.folded, ':')
	b.folded = event.AppendQuoted(b.folded, value)
}

func (b *rowBuilder) addFolded() {
	over := b.over
	if len(b.folded) > 0 {
		head, isObject := strings.CutSuffix(over, "}")
		switch {
		case over == "":
		case isObject && len(over) > 2:
			b.folded[0] = ','
			b.folded = append([]byte(head), b.folded...)
		default:
			b.fold(event.OverflowField, over)
		}
		over = string(append(b.folded, '}'))
	}
	if over != "" {
		b.add(event.OverflowField, query.StoreValue(over))
	}
}

// foldAll leaves the columns of our own and the message, and folds all others.
func (b *rowBuilder) foldAll() []logstorage.Field {
	all := b.fields
	b.fields, b.folded, b.over = make([]logstorage.Field, 0, ownColumns+2), b.folded[:0], ""
	for _, f := range all {
		switch {
		case ours(f.Name) || f.Name == colMsg:
			b.fields = append(b.fields, f)
		case f.Name == event.OverflowField:
			b.over = query.FieldValue(f.Value)
		default:
			b.fold(query.FieldName(f.Name), query.FieldValue(f.Value))
		}
	}
	b.addFolded()
	if rowSize(b.fields) > maxRow {
		b.cut()
	}
	return b.fields
}

// cut shortens the longest values until the row fits, and says so. The decoder has bounded the event already, so this is
// for what processors or foldAll made of it.
func (b *rowBuilder) cut() {
	marked := false
	for i := range b.fields {
		marked = marked || b.fields[i].Name == event.TruncatedField
	}
	if !marked {
		b.add(event.TruncatedField, "true")
	}
	for size := rowSize(b.fields); size > maxRow; size = rowSize(b.fields) {
		longest := 0
		for i := range b.fields {
			if len(b.fields[i].Value) > len(b.fields[longest].Value) {
				longest = i
			}
		}
		f := &b.fields[longest]
		keep := max(0, len(f.Value)-(size-maxRow))
		for keep > 0 && !utf8.RuneStart(f.Value[keep]) {
			keep--
		}
		f.Value = f.Value[:keep]
	}
}

// rowSize counts as uncompressedRowSizeBytes of logstorage does.
func rowSize(fields []logstorage.Field) int {
	n := len("2006-01-02T15:04:05.999999999Z07:00")
	for i := range fields {
		n += len(fields[i].Name) + len(fields[i].Value) + 2
	}
	return n
}

// rangesText writes the pieces of a joined event as @metadata.tally has them: [[from,to],…].
func rangesText(r []ledger.Range) string {
	b := append(make([]byte, 0, 24*len(r)), '[')
	for i := range r {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '[')
		b = strconv.AppendInt(b, r[i].From, 10)
		b = append(b, ',')
		b = strconv.AppendInt(b, r[i].To, 10)
		b = append(b, ']')
	}
	return string(append(b, ']'))
}

func parseRanges(s string) ([]ledger.Range, error) {
	if s == "" {
		return nil, nil
	}
	var pairs [][2]int64
	if err := json.Unmarshal([]byte(s), &pairs); err != nil {
		return nil, err
	}
	r := make([]ledger.Range, len(pairs))
	for i, p := range pairs {
		r[i] = ledger.Range{From: p[0], To: p[1]}
	}
	return r, nil
}

// buckets is the number of streams of a tenant on a usual day. Rows of one workload compress better together, but each
// stream has blocks of its own, and reading the newest rows opens one block of every stream: FORMAT.md has the figures.
const buckets = 16

// workload is what an event says about the program that wrote it. Only the first fields of their kind count.
type workload struct{ namespace, service, host string }

func (w *workload) note(f *event.Field) {
	switch f.Name {
	case "kubernetes.namespace":
		w.namespace = f.Value
	case "kubernetes.deployment.name":
		w.service = f.Value
	case "service.name", "app":
		if w.service == "" {
			w.service = f.Value
		}
	case "host.name":
		w.host = f.Value
	}
}

func (w *workload) bucket() int {
	if w.namespace == "" && w.service == "" {
		return int(xxhash.Sum64String(w.host) % buckets)
	}
	return int((xxhash.Sum64String(w.namespace)*31 + xxhash.Sum64String(w.service)) % buckets)
}
