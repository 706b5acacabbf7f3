package condition

import (
	"testing"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/strictyaml"
)

// FuzzNew holds that a condition is refused, or can be asked of any event and says what it is.
func FuzzNew(f *testing.F) {
	for _, s := range []string{`equals: {a: 1, message: "x"}`, `and: [{contains: {message: x}}, {not: {has_fields: [a]}}]`, `range: {a: {gte: 1, lt: 2.5}}`, `network: {message: [10.0.0.0/8, private]}`,
		`regexp: {message: "^(a|b)+$"}`, `range: {a.gte: 1}`, `or: []`, `not: {}`} {
		f.Add(s, "10.0.0.1")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		n, err := strictyaml.Parse("test.yml", []byte(text), func(string) (string, bool) { return "", false })
		if err != nil {
			return
		}
		c, err := New(n)
		if err != nil {
			return
		}
		c.Check(&event.Event{})
		c.Check(&event.Event{Fields: []event.Field{{Name: "message", Value: value}, {Name: "a", Value: "1.5", Kind: event.Number}, {Name: "tags", Value: `["x"]`, Kind: event.JSON}}})
		if c.String() == "" {
			t.Errorf("%s: it says nothing of itself", text)
		}
	})
}
