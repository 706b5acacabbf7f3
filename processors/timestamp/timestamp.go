package timestamp

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones are known where the machine has no database of them

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// FailureTag marks an event whose time could not be read.
const FailureTag = "_dateparsefailure"

// Processor reads times.
type Processor struct {
	c   config
	loc *time.Location
	now func() time.Time
}

type config struct {
	Field         string           `yaml:"field,required"`
	TargetField   string           `yaml:"target_field"`
	Layouts       strictyaml.Texts `yaml:"layouts,required"`
	Timezone      string           `yaml:"timezone"`
	IgnoreMissing bool             `yaml:"ignore_missing"`
	IgnoreFailure bool             `yaml:"ignore_failure"`
	Test          strictyaml.Texts `yaml:"test"`
}

var _ processor.Processor = (*Processor)(nil)

// New reads the configuration; README.md says what each key means.
func New(n strictyaml.Node) (*Processor, error) {
	c := config{TargetField: event.Timestamp, Timezone: "UTC"}
	if err := n.Decode(&c); err != nil {
		return nil, err
	}
	if err := processor.CheckName(c.TargetField); err != nil {
		return nil, n.At("target_field").Place(err)
	}
	p := &Processor{c: c, now: time.Now}
	var err error
	if p.loc, err = location(c.Timezone); err != nil {
		return nil, n.At("timezone").Errorf("%q is neither a zone like Asia/Shanghai nor an offset like +08:00", c.Timezone)
	}
	for _, l := range c.Layouts {
		if upper := strings.ToUpper(l); upper != l && known(upper) {
			return nil, n.At("layouts").Errorf("%q is no layout; did you mean %s?", l, upper)
		}
		if !known(l) && time.Unix(1e9, 5e8).Format(l) == l {
			return nil, n.At("layouts").Errorf("%q has no part of a time; a layout shows how 2 January 2006, 15:04:05 would be written, or is one of "+
				"ISO8601, UNIX, UNIX_MS, UNIX_US, UNIX_NS", l)
		}
	}
	for _, s := range c.Test {
		if _, err := p.parse(event.Field{Value: s}); err != nil {
			return nil, n.At("test").Errorf("%q: %v", s, err)
		}
	}
	return p, nil
}

func known(layout string) bool {
	switch layout {
	case "ISO8601", "UNIX", "UNIX_MS", "UNIX_US", "UNIX_NS":
		return true
	}
	return false
}

// location knows names and offsets.
func location(s string) (*time.Location, error) {
	for _, l := range []string{"-07:00", "-0700", "-07"} {
		if t, err := time.Parse(l, s); err == nil {
			_, offset := t.Zone()
			return time.FixedZone(s, offset), nil
		}
	}
	return time.LoadLocation(s)
}

// Process implements processor.Processor.
func (p *Processor) Process(e *event.Event) (bool, error) {
	f, ok := processor.Get(e, p.c.Field)
	if !ok {
		if p.c.IgnoreMissing || p.c.IgnoreFailure {
			return true, nil
		}
		return true, processor.Missing(FailureTag, p.c.Field)
	}
	t, err := p.parse(f)
	if err == nil && (t.Year() < 1678 || t.Year() > 2261) {
		err = errors.New("the year is out of bounds")
	}
	if err != nil {
		if p.c.IgnoreFailure {
			return true, nil
		}
		return true, processor.Fail(FailureTag, "timestamp: %.60q: %w", f.Value, err)
	}
	if p.c.TargetField == event.Timestamp {
		e.Time = t.UnixNano()
	} else {
		e.Put(p.c.TargetField, event.FormatTime(t.UnixNano()))
	}
	return true, nil
}

var errNoLayout = errors.New("no layout fits")

func (p *Processor) parse(f event.Field) (time.Time, error) {
	for _, layout := range p.c.Layouts {
		switch layout {
		case "UNIX":
			if t, ok := number(f.Value, 1e9); ok {
				return t, nil
			}
			continue
		case "UNIX_MS":
			if t, ok := number(f.Value, 1e6); ok {
				return t, nil
			}
			continue
		case "UNIX_US":
			if t, ok := number(f.Value, 1e3); ok {
				return t, nil
			}
			continue
		case "UNIX_NS":
			if t, ok := number(f.Value, 1); ok {
				return t, nil
			}
			continue
		}
		if f.Kind != event.String {
			continue
		}
		if layout == "ISO8601" {
			if t, ok := p.iso(f.Value); ok {
				return t, nil
			}
			continue
		}
		if t, ok := p.read(layout, f.Value); ok {
			return p.year(t), nil
		}
	}
	return time.Time{}, errNoLayout
}

// number reads a decimal number of units since 1970; fractions are kept to the nanosecond.
func number(s string, unit int64) (time.Time, bool) {
	whole, fraction, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || strings.Trim(fraction, "0123456789") != "" {
		x, err := strconv.ParseFloat(s, 64) // 1.7e9
		if err != nil || x-x != 0 || x*float64(unit) > 9e18 || x*float64(unit) < -9e18 {
			return time.Time{}, false
		}
		return time.Unix(0, int64(x*float64(unit))), true
	}
	if n > (1<<62)/unit || n < -(1<<62)/unit {
		return time.Time{}, false
	}
	ns := n * unit
	if fraction != "" {
		part, err := strconv.ParseFloat("0."+fraction, 64)
		if err != nil {
			return time.Time{}, false
		}
		if strings.HasPrefix(whole, "-") {
			part = -part
		}
		ns += int64(part*float64(unit) + 0.5)
	}
	return time.Unix(0, ns), true
}

// iso reads ISO 8601 in its usual forms: T or a space, seconds with a fraction after a point or a comma, a zone or none.
func (p *Processor) iso(s string) (time.Time, bool) {
	if len(s) < 10 {
		return time.Time{}, false
	}
	if len(s) > 10 && s[10] == ' ' {
		var room [40]byte
		b := append(room[:0], s...)
		b[10] = 'T'
		s = string(b)
	}
	for _, layout := range [...]string{time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07", "2006-01-02T15:04:05", "2006-01-02T15:04:05 Z0700",
		"2006-01-02T15:04:05 Z07:00", "2006-01-02T15:04:05 Z07", "2006-01-02T15:04:05 MST", "2006-01-02T15:04Z07:00", "2006-01-02T15:04", "2006-01-02",
		"20060102T150405Z0700", "20060102T150405Z07", "20060102T150405"} {
		if t, ok := p.read(layout, s); ok {
			return t, true
		}
	}
	return time.Time{}, false
}

// read is time.ParseInLocation, but for the abbreviations of zones: those that the configured zone does not use come out of it as if they were
// UTC, hours away from what was meant. They are looked up, and a text with one that is not known, or has several meanings, is refused.
func (p *Processor) read(layout, s string) (time.Time, bool) {
	t, err := time.ParseInLocation(layout, s, p.loc)
	if err != nil {
		return t, false
	}
	name, offset := t.Zone()
	if offset != 0 || t.Location() == time.UTC || t.Location() == p.loc || !strings.Contains(layout, "MST") {
		return t, true
	}
	hours, ok := abbreviations[name]
	if !ok {
		return t, false
	}
	return t.Add(-time.Duration(hours * float64(time.Hour))), true
}

// abbreviations of zones that mean one offset wherever they are used, in hours east of UTC. CST (China, Chicago), IST (India, Israel,
// Ireland) and BST (London, Dhaka) do not: the configured zone has to tell.
var abbreviations = map[string]float64{
	"UTC": 0, "GMT": 0, "WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "EET": 2, "EEST": 3, "MSK": 3, "PKT": 5, "WIB": 7, "HKT": 8, "SGT": 8, "AWST": 8,
	"JST": 9, "KST": 9, "ACST": 9.5, "ACDT": 10.5, "AEST": 10, "AEDT": 11, "NZST": 12, "NZDT": 13, "SAST": 2, "EAT": 3, "WAT": 1, "CAT": 2,
	"NST": -3.5, "NDT": -2.5, "ADT": -3, "EST": -5, "EDT": -4, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7, "AKST": -9, "AKDT": -8, "HST": -10,
}

// year gives a time without a year the one that lies nearest before now, a day ahead allowed for clocks that differ.
func (p *Processor) year(t time.Time) time.Time {
	if t.Year() != 0 {
		return t
	}
	now := p.now().In(t.Location())
	month, day := t.Month(), t.Day()
	for year := now.Year() + 1; ; year-- {
		d := time.Date(year, month, day, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), t.Location())
		if !d.After(now.Add(24*time.Hour)) && (d.Month() == month || year < now.Year()-8) {
			return d
		}
	}
}

func (p *Processor) String() string {
	return fmt.Sprintf("timestamp=[field=%s, target_field=%s, timezone=%s, layouts=%q]", p.c.Field, p.c.TargetField, p.loc, []string(p.c.Layouts))
}
