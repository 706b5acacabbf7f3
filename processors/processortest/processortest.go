package processortest

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// New makes a processor from its configuration.
type New[P processor.Processor] func(strictyaml.Node) (P, error)

// Make makes the processor that the YAML describes.
func Make[P processor.Processor](t testing.TB, make New[P], text string) P {
	t.Helper()
	p, err := build(make, text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return p
}

func build[P processor.Processor](make New[P], text string) (P, error) {
	n, err := strictyaml.Parse("test.yml", []byte(text), func(string) (string, bool) { return "", false })
	if err != nil {
		var none P
		return none, err
	}
	return make(n)
}

// Event reads an event from JSON.
func Event(t testing.TB, text string) event.Event {
	t.Helper()
	var d event.Decoder
	e, err := d.Decode([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return e
}

// Rows gives the check of one row: the processor of the configuration turns the event into want, both JSON. A want that begins
// with "error: " is a part of the error's text, after which the event must be as it was; "dropped" means that it is taken away.
func Rows[P processor.Processor](t *testing.T, make New[P]) func(config, in, want string) {
	return func(config, in, want string) {
		t.Helper()
		p := Make(t, make, config)
		e := Event(t, in)
		keep, err := p.Process(&e)
		got := string(processor.AppendJSON(nil, &e))
		if part, ok := strings.CutPrefix(want, "error: "); ok {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s\n%s\n got %v, %s\nwant an error with %q", config, in, err, got, part)
			}
			before := Event(t, in)
			want = string(processor.AppendJSON(nil, &before))
		} else if err != nil {
			t.Errorf("%s\n%s: %v", config, in, err)
			return
		}
		if keep == (want == "dropped") {
			t.Errorf("%s\n%s: keep is %t", config, in, keep)
		}
		if want != "dropped" && !Same(got, want) {
			t.Errorf("%s\n  in %s\n got %s\nwant %s", config, in, got, want)
		}
	}
}

// Same tells whether two JSON objects have the same content, in whatever order, nested or dotted.
func Same(a, b string) bool { return reflect.DeepEqual(flat(a), flat(b)) }

func flat(s string) map[string]any {
	var v map[string]any
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		return map[string]any{"not JSON": s}
	}
	out := map[string]any{}
	var walk func(string, map[string]any)
	walk = func(at string, m map[string]any) {
		for k, x := range m {
			if sub, ok := x.(map[string]any); ok && len(sub) > 0 {
				walk(at+k+".", sub)
			} else {
				out[at+k] = x
			}
		}
	}
	walk("", v)
	return out
}

// Refused gives the check of a wrong configuration: the error must have the text want.
func Refused[P processor.Processor](t *testing.T, make New[P]) func(config, want string) {
	return func(config, want string) {
		t.Helper()
		if _, err := build(make, config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n got %v\nwant %s", config, err, want)
		}
	}
}

// Check holds a processor to what all promise: the sample configuration of README.md beside the test loads; wrong keys are refused
// with their place; whatever the event, there is no panic, no field twice, and after an error the event is as it was.
//
// Several goroutines use one processor at once, as the connections of a server do: the race detector sees what they share.
//
// partial allows a processor to have done a part of its work when it fails, the text and the time excepted.
func Check[P processor.Processor](t *testing.T, name string, make New[P], partial ...bool) {
	t.Helper()
	p, err := make(sample(t, name))
	if err != nil {
		t.Fatal(err)
	}
	if p.String() == "" {
		t.Error("String is empty")
	}
	if _, err := build(make, "no_such_key: 1\n"); err == nil || !strings.Contains(err.Error(), "test.yml:1: no_such_key: unknown key") {
		t.Errorf("an unknown key: %v", err)
	}
	var others sync.WaitGroup
	defer others.Wait()
	for i := range uint64(3) {
		others.Go(func() {
			r := rand.New(rand.NewPCG(3, i))
			for range 300 {
				e := Random(r)
				_, _ = p.Process(&e)
			}
		})
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		e := Random(r)
		before := e
		before.Fields = append([]event.Field(nil), e.Fields...)
		text, _ := e.Get(event.Message)
		_, err := p.Process(&e)
		if err != nil && len(partial) == 0 && (!reflect.DeepEqual(before.Fields, e.Fields) || before.Time != e.Time) {
			t.Fatalf("failed with %q, but changed the event\nfrom %s\n  to %s", err, processor.AppendJSON(nil, &before), processor.AppendJSON(nil, &e))
		}
		if now, _ := e.Get(event.Message); err != nil && now != text {
			t.Fatalf("failed with %q, and the text %q became %q", err, text, now)
		}
		seen := map[string]bool{}
		for _, f := range e.Fields {
			if seen[f.Name] || f.Name == "" {
				t.Fatalf("the field %q stands twice or has no name: %s", f.Name, processor.AppendJSON(nil, &e))
			}
			seen[f.Name] = true
		}
	}
}

// sample is the configuration of the first processor in the first YAML block of README.md.
func sample(t testing.TB, name string) strictyaml.Node {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```yaml\n")
	block, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("README.md has no YAML block")
	}
	n, err := strictyaml.Parse("README.md", []byte(block), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	items, err := n.At("processors").Items()
	if err != nil || len(items) == 0 {
		t.Fatalf("the sample in README.md has no processors: %v", err)
	}
	c, rest2 := items[0].Take(name)
	if c.IsZero() || rest2.Pairs(func(string, strictyaml.Node, strictyaml.Node) error { return errors.New("more") }) != nil {
		t.Fatalf("the first processor of the sample in README.md is not %s alone", name)
	}
	_, c = c.Take("when")
	return c
}

// Random gives an event with odd names, kinds and texts.
func Random(r *rand.Rand) event.Event {
	names := []string{"message", "a", "a.b", "level", "tags", "json", "host.name", "url.original", "number", "syslog.priority", "b", "http.response.status_code", "user.email", "@version"}
	texts := []string{"", " ", "x", "127.0.0.1", "a=b c=\"d e\" f=", `{"a":{"b":[1]},"message":"m"}`, `{"`, "4111 1111 1111 1111", "q@example.com", "1,2,\"3", "2024-01-02T03:04:05Z",
		"Jan  2 03:04:05", "héllo 失败 \u2028", "\xff\xfe", "error", "-17", "1e400", "99999999999999999999", strings.Repeat("ab ", 300), "http://u:p@h:1/p?q=1#f", "%{a} %", "\n\tat x(Y.java:1)", "7", "null", "[1,\"x\"]"}
	e := event.Event{}
	for range r.IntN(len(names)) {
		f := event.Field{Name: names[r.IntN(len(names))], Value: texts[r.IntN(len(texts))]}
		switch r.IntN(6) {
		case 0:
			f.Kind, f.Value = event.Number, fmt.Sprint(r.IntN(1000)-300)
		case 1:
			f.Kind, f.Value = event.Bool, "true"
		case 2:
			f.Kind, f.Value = event.JSON, `["a","b",1]`
		}
		e.PutField(f)
	}
	if r.IntN(2) == 0 {
		e.Time = 1_700_000_000_000_000_000
	}
	return e
}

// Bench measures a processor on copies of one event.
func Bench(b *testing.B, p processor.Processor, in string) {
	b.Helper()
	e := Event(b, in)
	fields := make([]event.Field, 0, 64)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		c := e
		c.Fields = append(fields[:0], e.Fields...)
		if _, err := p.Process(&c); err != nil {
			b.Fatal(err)
		}
	}
}
