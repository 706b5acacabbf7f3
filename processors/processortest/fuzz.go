package processortest

import (
	"reflect"
	"testing"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
)

// Fuzz gives a fuzz target for a processor that reads the field message: whatever is in it, there is no panic, no field stands twice or
// without a name, the event can be written as JSON and read again, and after an error it is as it was.
func Fuzz[P processor.Processor](f *testing.F, make New[P], config string, seeds ...string) {
	f.Helper()
	for _, s := range seeds {
		f.Add(s)
	}
	p := Make(f, make, config)
	f.Fuzz(func(t *testing.T, s string) {
		e := event.Event{Fields: []event.Field{{Name: event.Message, Value: s}, {Name: "a", Value: "1", Kind: event.Number}}}
		before := append([]event.Field(nil), e.Fields...)
		if _, err := p.Process(&e); err != nil {
			if !reflect.DeepEqual(before, e.Fields) {
				t.Fatalf("failed with %q, but the event became %+v", err, e.Fields)
			}
			return
		}
		seen := map[string]bool{}
		for _, x := range e.Fields {
			if x.Name == "" || seen[x.Name] {
				t.Fatalf("the field %q has no name, or stands twice: %+v", x.Name, e.Fields)
			}
			seen[x.Name] = true
		}
		var d event.Decoder
		if _, err := d.Decode(processor.AppendJSON(nil, &e)); err != nil {
			t.Fatalf("%v: %s", err, processor.AppendJSON(nil, &e))
		}
	})
}

// FuzzConfig gives a fuzz target for what reads a configuration: whatever stands there is refused or becomes a processor that takes an
// event, without a panic.
func FuzzConfig[P processor.Processor](f *testing.F, make New[P], seeds ...string) {
	f.Helper()
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := build(make, text)
		if err != nil {
			return
		}
		e := event.Event{Fields: []event.Field{{Name: event.Message, Value: "GET /a?b=c 17 [x] k=v"}, {Name: "a", Value: "1", Kind: event.Number}}}
		_, _ = p.Process(&e)
	})
}
