package beatjson

import (
	"strings"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/outputs/codec/json"
)

// Encoder appends events. It remembers the maps it has seen (see shape), so it is for one goroutine.
type Encoder struct {
	index  string
	head   []byte // from the end of the time to the version, both included
	escape bool   // &, < and > as \u00XX
	fields shape
	meta   shape
	frame  frame // of the bundle that was last seen
	slow   *json.Encoder
}

// New makes an encoder. index is written as @metadata.beat, in lower case; version as @metadata.version.
func New(index, version string, escapeHTML bool) *Encoder {
	e := &Encoder{
		index: strings.ToLower(index), escape: escapeHTML,
		slow: json.New(version, json.Config{EscapeHTML: escapeHTML}),
	}
	e.head = append(e.head, `,"@metadata":{"beat":`...)
	e.head = e.text(e.head, e.index)
	e.head = append(e.head, `,"type":"_doc","version":`...)
	e.head = e.text(e.head, version)
	return e
}

// Append appends one JSON object, without a newline. It always succeeds; the event is not changed.
func (e *Encoder) Append(dst []byte, ev *beat.Event) []byte {
	start := len(dst)
	fields := once(ev.Fields)
	dst = append(dst, `{"@timestamp":`...)
	dst, ok := appendTime(dst, ev.Timestamp)
	if ok {
		dst = append(dst, e.head...)
		dst, ok = e.members(dst, ev.Meta, &e.meta, true, 0)
	}
	if ok {
		dst = append(dst, '}')
		dst, ok = e.members(dst, fields, &e.fields, true, 0)
	}
	if ok {
		return append(dst, '}')
	}
	// A type that is not known here, or a year that needs more than four digits.
	dst = dst[:start]
	plain := beat.Event{Timestamp: ev.Timestamp, Meta: ev.Meta, Fields: fields}
	text, err := e.slow.Encode(e.index, &plain)
	if err != nil {
		return append(dst, e.salvage(&plain, err)...)
	}
	return append(dst, text...)
}

// once removes what would be written twice.
func once(fields common.MapStr) common.MapStr {
	_, meta := fields["@metadata"]
	_, ts := fields["@timestamp"]
	if !meta && !ts {
		return fields
	}
	out := make(common.MapStr, len(fields))
	for k, v := range fields {
		if k != "@metadata" && k != "@timestamp" {
			out[k] = v
		}
	}
	return out
}

// salvage encodes what of an event libbeat's codec takes, and says in error.message what it did not.
func (e *Encoder) salvage(ev *beat.Event, cause error) []byte {
	var lost []string
	keep := func(in common.MapStr) common.MapStr {
		out := common.MapStr{}
		for k, v := range in {
			if _, err := e.slow.Encode(e.index, &beat.Event{Fields: common.MapStr{k: v}}); err != nil {
				lost = append(lost, k)
			} else {
				out[k] = v
			}
		}
		return out
	}
	out := beat.Event{Timestamp: ev.Timestamp, Meta: keep(ev.Meta), Fields: keep(ev.Fields)}
	out.Fields["error"] = common.MapStr{"message": "cannot encode " + strings.Join(lost, ", ") + ": " + cause.Error()}
	text, err := e.slow.Encode(e.index, &out)
	if err != nil { // the time itself
		out.Timestamp = time.Time{}
		text, _ = e.slow.Encode(e.index, &out)
	}
	return text
}
