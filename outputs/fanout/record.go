package fanout

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/publisher"

	"github.com/tallylog/tally/outputs/beatjson"
	"github.com/tallylog/tally/outputs/bundle"
)

// What the encoder writes into @metadata by itself, so that it can be told from what an event brought.
const (
	ownBeat    = "fanout"
	ownVersion = "1"
)

func newEncoder() *beatjson.Encoder { return beatjson.New(ownBeat, ownVersion, false) }

// appendBatch appends the payload of a record; see FORMAT.md.
func appendBatch(dst []byte, e *beatjson.Encoder, events []publisher.Event) []byte {
	events = bundle.Expand(events)
	dst = binary.AppendUvarint(dst, uint64(len(events)))
	var text []byte
	for i := range events {
		ev := &events[i]
		dst = append(dst, byte(ev.Flags))
		dst = binary.AppendVarint(dst, ev.Content.Timestamp.Unix())
		dst = binary.AppendUvarint(dst, uint64(ev.Content.Timestamp.Nanosecond()))
		text = e.Append(text[:0], &ev.Content)
		dst = binary.AppendUvarint(dst, uint64(len(text)))
		dst = append(dst, text...)
	}
	return dst
}

var errPayload = errors.New("the payload is no batch of events")

// parseBatch is the reverse of appendBatch. Numbers come back as int64, else uint64, else float64.
func parseBatch(b []byte) ([]publisher.Event, error) {
	n, k := binary.Uvarint(b)
	if k <= 0 || n > uint64(len(b)) {
		return nil, errPayload
	}
	b = b[k:]
	events := make([]publisher.Event, n)
	for i := range events {
		if len(b) == 0 {
			return nil, errPayload
		}
		flags := b[0]
		sec, k1 := binary.Varint(b[1:])
		if k1 <= 0 {
			return nil, errPayload
		}
		nsec, k2 := binary.Uvarint(b[1+k1:])
		if k2 <= 0 || nsec >= 1e9 {
			return nil, errPayload
		}
		b = b[1+k1+k2:]
		size, k3 := binary.Uvarint(b)
		if k3 <= 0 || size > uint64(len(b)-k3) {
			return nil, errPayload
		}
		content, err := parseEvent(b[k3 : k3+int(size)])
		if err != nil {
			return nil, err
		}
		content.Timestamp = time.Unix(sec, int64(nsec)).UTC()
		events[i] = publisher.Event{Content: content, Flags: publisher.EventFlags(flags)}
		b = b[k3+int(size):]
	}
	if len(b) > 0 {
		return nil, errPayload
	}
	return events, nil
}

func parseEvent(text []byte) (beat.Event, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var fields map[string]any
	if err := d.Decode(&fields); err != nil {
		return beat.Event{}, fmt.Errorf("%w: %w", errPayload, err)
	}
	all := native(fields).(common.MapStr)
	meta, _ := all["@metadata"].(common.MapStr)
	delete(all, "@metadata")
	delete(all, "@timestamp")
	for key, own := range map[string]string{"beat": ownBeat, "type": "_doc", "version": ownVersion} {
		if meta[key] == own {
			delete(meta, key)
		}
	}
	if len(meta) == 0 {
		meta = nil
	}
	return beat.Event{Meta: meta, Fields: all}, nil
}

// native turns what encoding/json makes into the types of events.
func native(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			v[k] = native(x)
		}
		return common.MapStr(v)
	case []any:
		for i, x := range v {
			v[i] = native(x)
		}
		return v
	case json.Number:
		if n, err := strconv.ParseInt(string(v), 10, 64); err == nil && v != "-0" {
			return n
		}
		if n, err := strconv.ParseUint(string(v), 10, 64); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	}
	return v
}
