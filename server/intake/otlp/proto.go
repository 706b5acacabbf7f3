package otlp

import (
	"encoding/hex"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/intake"
)

// walkProto walks ExportLogsServiceRequest {1: resource_logs}, ResourceLogs {1: resource, 2: scope_logs}, ScopeLogs {1: scope, 2:
// log_records}. What stands for all comes first as a rule, but no order is promised.
func walkProto(body []byte, shared func(*common) error, record func([]byte) error) error {
	return each(body, 1, func(resourceLogs []byte) error {
		var c common
		if err := each(resourceLogs, 1, func(b []byte) error { c.resource = b; return nil }); err != nil {
			return err
		}
		return each(resourceLogs, 2, func(scopeLogs []byte) error {
			c.scope = nil
			if err := each(scopeLogs, 1, func(b []byte) error { c.scope = b; return nil }); err != nil {
				return err
			}
			if err := shared(&c); err != nil {
				return err
			}
			return each(scopeLogs, 2, record)
		})
	})
}

// each calls f with every field of that number that has a length.
func each(b []byte, num protowire.Number, f func([]byte) error) error {
	return intake.WalkBytes(b, func(n protowire.Number, v []byte) error {
		if n != num {
			return nil
		}
		return f(v)
	})
}

// protoReader reads the messages of opentelemetry/proto/{resource,common,logs}/v1. The numbers are those of their fields.
type protoReader struct{ values int }

func (p *protoReader) common(o *intake.Object, c *common) error {
	p.values = 0
	if err := p.attributes(o, c.resource, 1); err != nil { // Resource {1: attributes}
		return err
	}
	err := intake.WalkBytes(c.scope, func(num protowire.Number, v []byte) error { // InstrumentationScope {1: name, 2: version, 3: attributes}
		if (num == 1 || num == 2) && len(v) > 0 {
			o.Text(scopeNames[num-1], string(v))
		}
		return nil
	})
	if err != nil {
		return err
	}
	return p.attributes(o, c.scope, 3)
}

// scopeNames are the fields for name and version of a scope, as OpenTelemetry's mapping to other formats has them.
var scopeNames = [2]string{"otel.scope.name", "otel.scope.version"}

// record reads LogRecord {1: time, 2: severity_number, 3: severity_text, 5: body, 6: attributes, 9: trace_id, 10: span_id, 11:
// observed_time, 12: event_name}.
func (p *protoReader) record(b []byte) (*logRecord, error) {
	p.values = 0
	r := &logRecord{attributes: func(o *intake.Object) error { return p.attributes(o, b, 6) }}
	err := intake.WalkMessage(b, func(num protowire.Number, v intake.Wire) error {
		switch v.Type {
		case protowire.Fixed64Type:
			switch num {
			case 1:
				r.time = v.Number
			case 11:
				r.observed = v.Number
			}
		case protowire.VarintType:
			if num == 2 {
				r.severity = int64(int32(v.Number))
			}
		case protowire.BytesType:
			switch num {
			case 3:
				r.severityText = string(v.Bytes)
			case 5:
				return p.body(r, v.Bytes)
			case 9:
				r.traceID = hexID(v.Bytes)
			case 10:
				r.spanID = hexID(v.Bytes)
			case 12:
				r.eventName = string(v.Bytes)
			}
		}
		return nil
	})
	return r, err
}

// hexID is "" for an id that is not set; all zeros mean that.
func hexID(id []byte) string {
	if !slices.ContainsFunc(id, func(c byte) bool { return c != 0 }) {
		return ""
	}
	return hex.EncodeToString(id)
}

// body reads the AnyValue that is the body.
func (p *protoReader) body(r *logRecord, v []byte) error {
	num, w, err := choice(v)
	if err != nil {
		return err
	}
	if num == 1 {
		r.hasBody, r.body = true, string(w.Bytes)
		return nil
	}
	b, err := p.value(nil, v, 0)
	if err != nil {
		return err
	}
	return r.setBody(b)
}

// attributes adds each KeyValue {1: key, 2: value} that b has in that field.
func (p *protoReader) attributes(o *intake.Object, b []byte, field protowire.Number) error {
	return each(b, field, func(kv []byte) error {
		key, value, err := keyValue(kv)
		if err != nil {
			return err
		}
		return o.JSON(intake.FieldName(key), func(b []byte) ([]byte, error) { return p.value(b, value, 0) })
	})
}

func keyValue(kv []byte) (key string, value []byte, err error) {
	err = intake.WalkBytes(kv, func(num protowire.Number, v []byte) error {
		switch num {
		case 1:
			key = string(v)
		case 2:
			value = v
		}
		return nil
	})
	return key, value, err
}

// choice finds which one of AnyValue {1: string, 2: bool, 3: int, 4: double, 5: array, 6: kvlist, 7: bytes} is set, 0 for none.
func choice(v []byte) (num protowire.Number, w intake.Wire, err error) {
	types := [...]protowire.Type{1: protowire.BytesType, 2: protowire.VarintType, 3: protowire.VarintType, 4: protowire.Fixed64Type, 5: protowire.BytesType, 6: protowire.BytesType, 7: protowire.BytesType}
	err = intake.WalkMessage(v, func(n protowire.Number, field intake.Wire) error {
		if n >= 1 && int(n) < len(types) && field.Type == types[n] {
			num, w = n, field
		}
		return nil
	})
	return num, w, err
}

// value appends an AnyValue as JSON.
func (p *protoReader) value(b, v []byte, depth int) ([]byte, error) {
	if p.values++; p.values > maxValues {
		return b, errTooMany
	}
	if depth > maxDepth {
		return b, errTooDeep
	}
	num, w, err := choice(v)
	if err != nil {
		return b, err
	}
	switch num {
	case 1:
		return event.AppendQuoted(b, string(w.Bytes)), nil
	case 2:
		if w.Number != 0 {
			return append(b, "true"...), nil
		}
		return append(b, "false"...), nil
	case 3:
		return appendInt(b, int64(w.Number)), nil
	case 4:
		return appendFloat(b, math.Float64frombits(w.Number)), nil
	case 5: // ArrayValue {1: values}
		b = append(b, '[')
		at := len(b)
		err := each(w.Bytes, 1, func(v []byte) (err error) {
			if len(b) > at {
				b = append(b, ',')
			}
			b, err = p.value(b, v, depth+1)
			return err
		})
		return append(b, ']'), err
	case 6: // KeyValueList {1: values}
		b = append(b, '{')
		at := len(b)
		err := each(w.Bytes, 1, func(kv []byte) error {
			key, v, err := keyValue(kv)
			if err != nil {
				return err
			}
			if len(b) > at {
				b = append(b, ',')
			}
			b = append(event.AppendQuoted(b, key), ':')
			b, err = p.value(b, v, depth+1)
			return err
		})
		return append(b, '}'), err
	case 7:
		return appendBase64(b, w.Bytes), nil
	}
	return append(b, "null"...), nil
}
