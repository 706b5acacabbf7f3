package otlp

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/intake"
)

// walkJSON walks {"resourceLogs":[{"resource":{…},"scopeLogs":[{"scope":{…},"logRecords":[{…}]}]}]}. The body must be valid JSON. Names
// may also be written as in the .proto files (log_records), as protobuf's JSON mapping has it.
func walkJSON(body []byte, shared func(*common) error, record func([]byte) error) error {
	return members(body, "resourceLogs", "resource_logs", func(resourceLogs []byte) error {
		c := common{}
		if err := member(resourceLogs, "resource", &c.resource); err != nil {
			return err
		}
		return members(resourceLogs, "scopeLogs", "scope_logs", func(scopeLogs []byte) error {
			c.scope = nil
			if err := member(scopeLogs, "scope", &c.scope); err != nil {
				return err
			}
			if err := shared(&c); err != nil {
				return err
			}
			return members(scopeLogs, "logRecords", "log_records", record)
		})
	})
}

// members calls f with each element of the array of that name in the object b.
func members(b []byte, name, other string, f func([]byte) error) error {
	return intake.WalkObject(b, func(key string, v []byte) error {
		if key != name && key != other {
			return nil
		}
		return intake.WalkArray(v, f)
	})
}

func member(b []byte, name string, to *[]byte) error {
	return intake.WalkObject(b, func(key string, v []byte) error {
		if key == name {
			*to = v
		}
		return nil
	})
}

// jsonReader reads the same messages as protoReader, in the JSON mapping of protobuf as OTLP changes it: ids are hex.
type jsonReader struct {
	p      fastjson.Parser
	values int
}

// parse reads an object; nil or null is an empty one.
func (j *jsonReader) parse(b []byte) (*fastjson.Value, error) {
	j.values = 0
	if b == nil {
		b = []byte("{}")
	}
	v, err := j.p.ParseBytes(b)
	if err != nil {
		return nil, errBroken
	}
	if t := v.Type(); t != fastjson.TypeObject && t != fastjson.TypeNull {
		return nil, errBroken
	}
	return v, nil
}

func (j *jsonReader) common(o *intake.Object, c *common) error {
	v, err := j.parse(c.resource)
	if err != nil {
		return err
	}
	if err := j.attributes(o, v); err != nil {
		return err
	}
	if v, err = j.parse(c.scope); err != nil {
		return err
	}
	for i, name := range []string{"name", "version"} {
		if s := text(v.Get(name)); s != "" {
			o.Text(scopeNames[i], s)
		}
	}
	return j.attributes(o, v)
}

func (j *jsonReader) record(b []byte) (*logRecord, error) {
	v, err := j.parse(b)
	if err != nil {
		return nil, err
	}
	r := &logRecord{
		severityText: text(get(v, "severityText", "severity_text")), eventName: text(get(v, "eventName", "event_name")),
		traceID: jsonID(get(v, "traceId", "trace_id")), spanID: jsonID(get(v, "spanId", "span_id")),
		attributes: func(o *intake.Object) error { return j.attributes(o, v) },
	}
	if r.time, err = nanoseconds(get(v, "timeUnixNano", "time_unix_nano")); err != nil {
		return nil, err
	}
	if r.observed, err = nanoseconds(get(v, "observedTimeUnixNano", "observed_time_unix_nano")); err != nil {
		return nil, err
	}
	if s := get(v, "severityNumber", "severity_number"); s != nil && s.Type() != fastjson.TypeNull {
		ok := true
		if s.Type() == fastjson.TypeString {
			r.severity, ok = severityOf(text(s))
		} else {
			r.severity, err = s.Int64()
		}
		if err != nil || !ok {
			return nil, errBroken
		}
	}
	return r, j.body(r, v.Get("body"))
}

func get(v *fastjson.Value, name, other string) *fastjson.Value {
	if f := v.Get(name); f != nil {
		return f
	}
	return v.Get(other)
}

// text is a text, "" for anything else.
func text(v *fastjson.Value) string {
	if v == nil || v.Type() != fastjson.TypeString {
		return ""
	}
	b, _ := v.StringBytes()
	return string(b)
}

// nanoseconds reads a fixed64, which JSON has as a text or as a number.
func nanoseconds(v *fastjson.Value) (uint64, error) {
	if v == nil || v.Type() == fastjson.TypeNull {
		return 0, nil
	}
	s := text(v)
	if v.Type() == fastjson.TypeNumber {
		s = string(v.MarshalTo(nil))
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, errBroken
	}
	return n, nil
}

// jsonID takes an id as it is written, in lower case; all zeros mean that it is not set.
func jsonID(v *fastjson.Value) string {
	s := strings.ToLower(text(v))
	if strings.Trim(s, "0") == "" {
		return ""
	}
	return s
}

func (j *jsonReader) body(r *logRecord, v *fastjson.Value) error {
	b, err := j.value(nil, v, 0)
	if err != nil {
		return err
	}
	return r.setBody(b)
}

func (j *jsonReader) attributes(o *intake.Object, of *fastjson.Value) error {
	list, err := array(of, "attributes")
	if err != nil {
		return err
	}
	for _, kv := range list {
		err := o.JSON(intake.FieldName(text(kv.Get("key"))), func(b []byte) ([]byte, error) { return j.value(b, kv.Get("value"), 0) })
		if err != nil {
			return err
		}
	}
	return nil
}

// array is the member of v of that name, which must be an array where there is one.
func array(v *fastjson.Value, name string) ([]*fastjson.Value, error) {
	a := v.Get(name)
	if a == nil || a.Type() == fastjson.TypeNull {
		return nil, nil
	}
	list, err := a.Array()
	if err != nil {
		return nil, errBroken
	}
	return list, nil
}

// value appends an AnyValue, {"<type>Value":…}, as JSON. One of a type that is not known is null.
func (j *jsonReader) value(b []byte, v *fastjson.Value, depth int) ([]byte, error) {
	if j.values++; j.values > maxValues {
		return b, errTooMany
	}
	if depth > maxDepth {
		return b, errTooDeep
	}
	if v == nil || v.Type() == fastjson.TypeNull {
		return append(b, "null"...), nil
	}
	o, err := v.Object()
	if err != nil {
		return b, errBroken
	}
	null := true
	o.Visit(func(key []byte, v *fastjson.Value) {
		if null && err == nil && v.Type() != fastjson.TypeNull {
			at := len(b)
			b, err = j.choice(b, string(key), v, depth)
			null = len(b) == at
		}
	})
	if null {
		b = append(b, "null"...)
	}
	return b, err
}

// choice appends a value of that type, nothing where the type is not known.
func (j *jsonReader) choice(b []byte, kind string, v *fastjson.Value, depth int) ([]byte, error) {
	switch kind {
	case "stringValue", "string_value":
		if v.Type() != fastjson.TypeString {
			return b, errBroken
		}
		return event.AppendQuoted(b, text(v)), nil
	case "boolValue", "bool_value":
		if v.Type() != fastjson.TypeTrue && v.Type() != fastjson.TypeFalse {
			return b, errBroken
		}
		return v.MarshalTo(b), nil
	case "intValue", "int_value":
		s := text(v)
		if v.Type() == fastjson.TypeNumber {
			s = string(v.MarshalTo(nil))
		}
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return b, errBroken
		}
		return appendInt(b, n), nil
	case "doubleValue", "double_value":
		s := text(v)
		if v.Type() == fastjson.TypeNumber {
			s = string(v.MarshalTo(nil))
		}
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return b, errBroken
		}
		return appendFloat(b, f), nil
	case "bytesValue", "bytes_value":
		data, err := base64.StdEncoding.DecodeString(text(v))
		if err != nil {
			return b, errBroken
		}
		return appendBase64(b, data), nil
	case "arrayValue", "array_value":
		list, err := array(v, "values")
		b = append(b, '[')
		for i, v := range list {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = j.value(b, v, depth+1); err != nil {
				return b, err
			}
		}
		return append(b, ']'), err
	case "kvlistValue", "kvlist_value":
		list, err := array(v, "values")
		b = append(b, '{')
		for i, kv := range list {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(event.AppendQuoted(b, text(kv.Get("key"))), ':')
			if b, err = j.value(b, kv.Get("value"), depth+1); err != nil {
				return b, err
			}
		}
		return append(b, '}'), err
	}
	return b, nil
}
