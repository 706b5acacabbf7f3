package beatjson

import (
	"math"
	"strconv"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/publisher"

	"github.com/tallylog/tally/outputs/bundle"
)

// frame is what all lines of one bundle have in common, as JSON: it is written once, and then copied.
type frame struct {
	of      *bundle.Bundle
	ok      bool   // the common fields have a form that a frame can be made of
	time    []byte // @timestamp of lines without one of their own
	stamp   []byte // @timestamp of the last line that had one
	millis  int64  // the same; noMillis before the first
	head    []byte // from behind the time to the value of @metadata.tally.from
	source  []byte // from behind skipped to the value of sum
	fields  []byte // from behind to up to the value of log.offset, or to the end where the fields have one of their own
	offset  bool   // log.offset is to be written
	message bool   // message is to be written

	metaKeys, fieldKeys, logKeys shape
}

// noMillis is no time of a line, which is in nanoseconds.
const noMillis = math.MinInt64

// AppendLine appends line i of the bundle that an event stands for. The content is that of the expanded event.
func (e *Encoder) AppendLine(dst []byte, ev *beat.Event, b *bundle.Bundle, i int) []byte {
	if e.frame.of != b {
		e.frame.of = b
		e.frame.ok = e.prepare(&e.frame, ev, b)
	}
	f := &e.frame
	if !f.ok {
		one := *b
		one.Lines = b.Lines[i : i+1]
		single := beat.Event{Timestamp: ev.Timestamp, Meta: ev.Meta, Fields: ev.Fields, Private: &one}
		expanded := bundle.Expand([]publisher.Event{{Content: single}})
		return e.Append(dst, &expanded[0].Content)
	}
	l := &b.Lines[i]
	at := f.time
	if l.Time != 0 {
		at = f.at(l.Time)
	}
	dst = append(dst, `{"@timestamp":`...)
	dst = append(dst, at...)
	dst = append(dst, f.head...)
	dst = strconv.AppendInt(dst, l.From, 10)
	dst = append(dst, `,"skipped":`...)
	dst = strconv.AppendInt(dst, l.Skipped, 10)
	dst = append(dst, f.source...)
	dst = bundle.AppendHex(dst, l.Sum)
	dst = append(dst, `","to":`...)
	dst = strconv.AppendInt(dst, l.To, 10)
	dst = append(dst, f.fields...)
	if f.offset {
		dst = strconv.AppendInt(dst, l.From, 10)
		dst = append(dst, '}')
	}
	if f.message {
		dst = append(dst, `,"message":`...)
		dst = e.text(dst, l.Message)
	}
	return append(dst, '}')
}

// prepare makes the frame of a bundle. It returns false where a value is of a type that only libbeat's codec may know.
func (e *Encoder) prepare(f *frame, ev *beat.Event, b *bundle.Bundle) (ok bool) {
	fields := once(ev.Fields)
	_, hasMessage := fields["message"]
	log, hasLog := fields["log"].(common.MapStr)
	if m, plain := fields["log"].(map[string]interface{}); plain {
		log, hasLog = m, true
	}
	_, hasOffset := log["offset"]
	f.message, f.offset = !hasMessage, hasLog && !hasOffset

	f.millis = noMillis
	if f.time, ok = appendTime(f.time[:0], ev.Timestamp); !ok {
		return false
	}
	f.head = append(f.head[:0], e.head...)
	if f.head, ok = e.members(f.head, without(ev.Meta, "tally"), &f.metaKeys, true, 0); !ok {
		return false
	}
	f.head = append(f.head, `,"tally":{"from":`...)

	f.source = append(f.source[:0], `,"source":`...)
	f.source = append(e.text(f.source, b.Source), `,"sum":"`...)

	f.fields = append(f.fields[:0], "}}"...)
	if f.offset {
		fields = without(fields, "log")
	}
	if f.fields, ok = e.members(f.fields, fields, &f.fieldKeys, true, 0); !ok || !f.offset {
		return ok
	}
	f.fields = append(f.fields, `,"log":{`...)
	if f.fields, ok = e.members(f.fields, log, &f.logKeys, false, 1); !ok {
		return false
	}
	if len(log) > 0 {
		f.fields = append(f.fields, ',')
	}
	f.fields = append(f.fields, `"offset":`...)
	return true
}

// at is the time of a line. Its neighbours mostly have the same.
func (f *frame) at(ns int64) []byte {
	ms := ns / 1e6
	if ns%1e6 < 0 { // cut, before 1970 too
		ms--
	}
	if ms != f.millis {
		f.millis = ms
		f.stamp, _ = appendTime(f.stamp[:0], time.UnixMilli(ms)) // nanoseconds reach no year of more than four digits
	}
	return f.stamp
}

// without is a map without one of its keys.
func without(m common.MapStr, key string) common.MapStr {
	if _, has := m[key]; !has {
		return m
	}
	out := make(common.MapStr, len(m))
	for k, v := range m {
		if k != key {
			out[k] = v
		}
	}
	return out
}
