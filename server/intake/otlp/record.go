package otlp

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/intake"
)

// Bounds of the values of one record, resource or scope: a value of two bytes takes a hundred times that when it is read.
const (
	maxValues = 20_000
	maxDepth  = event.MaxDepth
)

var (
	errTooMany = fmt.Errorf("too_many: more than %d values", maxValues)
	errTooDeep = fmt.Errorf("nested deeper than %d", maxDepth)
	errBroken  = errors.New("not of the form of a log record")
)

// logRecord is a LogRecord, whatever its encoding.
type logRecord struct {
	time, observed uint64 // nanoseconds since 1970, 0 for none
	severity       int64
	severityText   string
	eventName      string
	traceID        string // hex
	spanID         string
	hasBody        bool
	body           string // a text as it is, anything else as JSON
	attributes     func(*intake.Object) error
}

// at is the time of the event, 0 where the record has none that 64 bits can hold.
func (r *logRecord) at() int64 {
	t := r.time
	if t == 0 {
		t = r.observed
	}
	if t > math.MaxInt64 {
		return 0
	}
	return int64(t)
}

// setBody takes the body as JSON: of a text what it says, of anything else the JSON itself, of null nothing.
func (r *logRecord) setBody(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	r.hasBody, r.body = true, string(b)
	if b[0] == '"' {
		return json.Unmarshal(b, &r.body)
	}
	return nil
}

// derived adds the members that are no attributes. An attribute of the record with the same name counts more.
func (r *logRecord) derived(o *intake.Object) {
	level := r.severityText
	if level == "" {
		level = levelOf(r.severity)
	}
	text := func(name, value string) {
		if value != "" {
			o.Text(name, value)
		}
	}
	text("log.level", level)
	if r.severity != 0 {
		o.Int("event.severity", r.severity)
	}
	text("event.name", r.eventName)
	text("trace.id", r.traceID)
	text("span.id", r.spanID)
}

// levels are the names of severity numbers: 1 to 4 are trace, 5 to 8 debug, and so on.
var levels = [...]string{"trace", "debug", "info", "warn", "error", "fatal"}

func levelOf(severity int64) string {
	if severity < 1 || severity > 4*int64(len(levels)) {
		return ""
	}
	return levels[(severity-1)/4]
}

// severityOf reads the name of an enumeration value, SEVERITY_NUMBER_INFO or SEVERITY_NUMBER_INFO2, which JSON may have for it.
func severityOf(name string) (int64, bool) {
	name, ok := strings.CutPrefix(name, "SEVERITY_NUMBER_")
	if !ok || name == "UNSPECIFIED" {
		return 0, ok
	}
	for i, level := range levels {
		if rest, ok := strings.CutPrefix(name, strings.ToUpper(level)); ok {
			step := 1
			if rest != "" {
				step, _ = strconv.Atoi(rest)
			}
			return int64(4*i + step), step >= 1 && step <= 4
		}
	}
	return 0, false
}

// The values of JSON that both encodings append.

func appendInt(b []byte, n int64) []byte { return strconv.AppendInt(b, n, 10) }

// appendFloat writes what JSON has no number for as a text, as protobuf's JSON mapping does.
func appendFloat(b []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(b, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(b, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(b, `"-Infinity"`...)
	}
	return strconv.AppendFloat(b, f, 'g', -1, 64)
}

func appendBase64(b, data []byte) []byte {
	return append(base64.StdEncoding.AppendEncode(append(b, '"'), data), '"')
}
