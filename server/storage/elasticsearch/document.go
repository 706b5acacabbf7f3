package elasticsearch

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fastjson"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/server/query"
	"github.com/tallylog/tally/server/storage"
)

// Fields of every event that this package writes itself, as the embedded store does. An event's field of such a name goes
// into event.OverflowField.
const (
	fieldSource = "tally.source"
	fieldFrom   = "tally.from"
	fieldTo     = "tally.to"
	fieldRanges = "tally.ranges"
)

func reserved(name string) bool {
	switch name {
	case fieldSource, fieldFrom, fieldTo, fieldRanges, query.ID, event.Timestamp, "":
		return true
	}
	return false
}

// timeLayout has all nine digits.
const timeLayout = "2006-01-02T15:04:05.000000000Z"

// encoder turns events into documents. It keeps its buffers from event to event.
type encoder struct {
	fields, names, long, whole, words []byte
	folded                            []byte
	over                              string
}

// append appends the two lines of a bulk request that create the document of an event.
func (c *encoder) append(b []byte, index, server string, tenant uint32, seq uint64, e *event.Event) []byte {
	b = append(b, `{"create":{"_index":"`...)
	b = append(b, index...)
	b = append(b, `","_id":`...)
	b = event.AppendQuoted(b, documentID(tenant, e))
	b = append(b, "}}\n{\"@timestamp\":\""...)
	b = time.Unix(0, e.Time).UTC().AppendFormat(b, timeLayout)
	b = strconv.AppendUint(append(b, `","tenant":`...), uint64(tenant), 10)
	b = strconv.AppendUint(append(b, `,"batch":`...), seq, 10)
	if server != "" {
		b = event.AppendQuoted(append(b, `,"server":`...), server)
	}
	b = event.AppendQuoted(append(b, `,"id":`...), e.ID)
	size, message := c.collect(e)
	b = strconv.AppendInt(append(b, `,"from":`...), e.Position.From, 10)
	b = strconv.AppendInt(append(b, `,"size":`...), int64(size), 10)
	if message != "" {
		var cut bool
		if c.words, cut = query.ElasticWords(c.words[:0], message); cut {
			c.long = appendItem(c.long, event.Message)
		}
		b = appendText(append(b, `,"message":`...), message)
		b = event.AppendQuoted(append(b, `,"words":`...), string(c.words))
	}
	for _, list := range []struct {
		name  string
		items []byte
	}{{query.ElasticFields, c.fields}, {query.ElasticNames, c.names}, {query.ElasticLong, c.long}, {docWhole, c.whole}} {
		if len(list.items) > 0 {
			b = append(append(append(append(append(b, `,"`...), list.name...), `":[`...), list.items...), ']')
		}
	}
	return append(b, "}\n"...)
}

// documentID is the id in Elasticsearch: that of the event, with what tells apart events that may share it. Two tenants may, and two
// clients that call their sources alike: neither can take a range away from the other.
func documentID(tenant uint32, e *event.Event) string {
	id := e.ID
	if e.HasPosition() {
		if client, _ := e.Get(storage.ClientField); client != "" {
			sum := sha256.Sum256([]byte(client))
			id += ":" + hex.EncodeToString(sum[:8])
		}
	}
	if tenant == 0 {
		return id
	}
	return strconv.FormatUint(uint64(tenant), 10) + ":" + id
}

// collect fills the lists with the fields of an event.
func (c *encoder) collect(e *event.Event) (size int, message string) {
	c.fields, c.names, c.long, c.whole, c.folded, c.over = c.fields[:0], c.names[:0], c.long[:0], c.whole[:0], c.folded[:0], ""
	if p := &e.Position; p.Source != "" {
		c.add(fieldSource, p.Source)
		c.add(fieldFrom, strconv.FormatInt(p.From, 10))
		c.add(fieldTo, strconv.FormatInt(p.To, 10))
		if len(p.Ranges) > 0 {
			c.add(fieldRanges, rangesText(p.Ranges))
		}
	}
	for i := range e.Fields {
		f := &e.Fields[i]
		size += len(f.Name) + len(f.Value)
		switch {
		case f.Value == "": // is as good as missing
		case f.Name == event.Message:
			message = strings.ReplaceAll(f.Value, query.Mark, "\uFFFD")
			if query.IsNumber(message) { // numbers are compared by their terms
				c.term(event.Message, message)
			}
		case f.Name == event.OverflowField:
			c.over = f.Value
		case reserved(f.Name):
			c.fold(f.Name, f.Value)
		default:
			c.add(f.Name, f.Value)
		}
	}
	c.addFolded()
	return size, message
}

func (c *encoder) add(name, value string) {
	c.names = appendItem(c.names, name)
	if c.term(name, value) {
		c.whole = event.AppendQuoted(append(appendComma(c.whole), '['), name)
		c.whole = append(appendText(append(c.whole, ','), value), ']')
	}
}

func (c *encoder) term(name, value string) (long bool) {
	term, long := query.ElasticField(name, value)
	c.fields = appendItem(c.fields, term)
	if long {
		c.long = appendItem(c.long, name)
	}
	return long
}

// fold puts a field that cannot have its name into the JSON text of OverflowField, as the decoder does.
func (c *encoder) fold(name, value string) {
	sep := byte(',')
	if len(c.folded) == 0 {
		sep = '{'
	}
	c.folded = event.AppendQuoted(append(c.folded, sep), name)
	c.folded = event.AppendQuoted(append(c.folded, ':'), value)
}

func (c *encoder) addFolded() {
	over := c.over
	if len(c.folded) > 0 {
		head, isObject := strings.CutSuffix(over, "}")
		switch {
		case over == "":
		case isObject && len(over) > 2:
			c.folded[0] = ','
			c.folded = append([]byte(head), c.folded...)
		default:
			c.fold(event.OverflowField, over)
		}
		over = string(append(c.folded, '}'))
	}
	if over != "" {
		c.add(event.OverflowField, over)
	}
}

func appendComma(b []byte) []byte {
	if len(b) > 0 {
		b = append(b, ',')
	}
	return b
}

func appendItem(b []byte, s string) []byte { return event.AppendQuoted(appendComma(b), s) }

// appendText quotes a value as it comes back: without what queries do not see.
func appendText(b []byte, s string) []byte {
	if strings.Contains(s, query.Mark) {
		s = strings.ReplaceAll(s, query.Mark, "\uFFFD")
	}
	return event.AppendQuoted(b, s)
}

// decode reads the _source of a document.
func decode(v *fastjson.Value) (e event.Event, err error) {
	e.ID = string(v.GetStringBytes(query.ElasticID))
	t, ok := event.ParseTime(string(v.GetStringBytes(query.ElasticTime)))
	if !ok || e.ID == "" {
		return e, fmt.Errorf("document of event %q has no time or no id", e.ID)
	}
	e.Time = t
	fields := v.GetArray(query.ElasticFields)
	e.Fields = make([]event.Field, 0, len(fields)+1)
	put := func(name, value string) {
		e.Fields = append(e.Fields, event.Field{Name: name, Value: value})
	}
	if m := v.GetStringBytes(docMessage); len(m) > 0 {
		put(event.Message, string(m))
	}
	for _, f := range fields {
		term, err := f.StringBytes()
		if err != nil {
			return e, fmt.Errorf("document of event %s: %w", e.ID, err)
		}
		if name, value, long := query.ElasticFieldOf(string(term)); !long && name != event.Message {
			put(name, value)
		}
	}
	for _, pair := range v.GetArray(docWhole) {
		put(string(pair.GetStringBytes("0")), string(pair.GetStringBytes("1")))
	}
	return e, nil
}

// rangesText writes the pieces of a joined event as @metadata.tally has them: [[from,to],…].
func rangesText(r []ledger.Range) string {
	pairs := make([][2]int64, len(r))
	for i := range r {
		pairs[i] = [2]int64{r[i].From, r[i].To}
	}
	return string(mustJSON(pairs))
}

func parseRanges(s string) ([]ledger.Range, error) {
	if s == "" {
		return nil, nil
	}
	var pairs [][2]int64
	if err := json.Unmarshal([]byte(s), &pairs); err != nil {
		return nil, fmt.Errorf("ranges %.100q: %w", s, err)
	}
	r := make([]ledger.Range, len(pairs))
	for i, p := range pairs {
		r[i] = ledger.Range{From: p[0], To: p[1]}
	}
	return r, nil
}
