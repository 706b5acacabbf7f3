package condition

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/conditions"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

func parse(t testing.TB, text string) (Condition, error) {
	t.Helper()
	n, err := strictyaml.Parse("test.yml", []byte(text), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	return New(n)
}

// nested gives the event as Beats have it.
func nested(e *event.Event) common.MapStr {
	m := common.MapStr{}
	for _, f := range e.Fields {
		var v any = f.Value
		switch f.Kind {
		case event.Number:
			v = number(f.Value)
		case event.Bool:
			v = f.Value == "true"
		case event.JSON:
			list := []any{}
			for _, s := range processor.Texts(f) {
				list = append(list, s)
			}
			v = list
		}
		_, _ = m.Put(f.Name, v)
	}
	return m
}

func number(s string) any {
	var n int64
	var x float64
	if _, err := fmt.Sscanf(s, "%d", &n); err == nil && fmt.Sprint(n) == s {
		return n
	}
	_, _ = fmt.Sscanf(s, "%g", &x)
	return x
}

// TestDiffer holds that on random events all conditions say what libbeat's say.
func TestDiffer(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	ips := []string{"10.1.2.3", "172.16.0.1", "172.32.0.1", "192.168.9.9", "127.0.0.1", "::1", "fd00::1", "fc00::1", "fe80::1", "8.8.8.8", "224.0.0.1", "ff01::1", "ff02::1", "0.0.0.0", "255.255.255.255", "::ffff:10.0.0.1", "nonsense", ""}
	words := []string{"error", "Error 17", "", "x", "x y", "true", "17"}
	random := func() event.Event {
		e := event.Event{}
		for _, name := range []string{"a", "b", "o.c", "tags", "ip"} {
			f := event.Field{Name: name, Value: words[r.IntN(len(words))]}
			switch r.IntN(8) {
			case 0:
				continue
			case 1, 2:
				f.Kind, f.Value = event.Number, []string{"17", "-1", "0", "404", "17.5", "1e3", "400"}[r.IntN(7)]
			case 3:
				f.Kind, f.Value = event.Bool, fmt.Sprint(r.IntN(2) == 0)
			case 4:
				f.Kind, f.Value = event.JSON, []string{`["error","x"]`, `[]`, `["x y"]`, `[1,"17"]`}[r.IntN(4)]
			}
			if name == "ip" {
				f = event.Field{Name: name, Value: ips[r.IntN(len(ips))]}
			}
			e.PutField(f)
		}
		return e
	}
	hits := map[string]int{}
	for _, text := range []string{
		`equals: {a: 17}`, `equals: {a: "17"}`, `equals: {a: true}`, `equals: {a: -1, b: x}`, `equals: {o: {c: error}}`, `equals: {o: error}`, `equals: {tags: [error]}`,
		`contains: {a: rr}`, `contains: {tags: error}`, `contains: {a: ""}`, `contains: {a: x, o.c: x}`, `contains: {o: x}`,
		`regexp: {a: '^E\w+ \d'}`, `regexp: {tags: 'x.y'}`, `regexp: {a: '(?i)error$'}`, `regexp: {a: '.*'}`, `regexp: {a: 'error|x'}`, `regexp: {a: '^(error|x)$'}`, `regexp: {a: '^.*17$'}`,
		`range: {a.gte: 17}`, `range: {a: {gt: 17, lt: 500}}`, `range: {a: {lte: 17.5}}`, `range: {a.gte: "400", b.lt: 1}`, `range: {o.c.gte: 0}`,
		`network: {ip: private}`, `network: {ip: [loopback, multicast]}`, `network: {ip: 10.0.0.0/8}`, `network: {ip: public}`, `network: {ip: unicast}`, `network: {ip: link_local_unicast}`,
		`network: {ip: interface_local_multicast}`, `network: {ip: link_local_multicast}`, `network: {ip: unspecified}`, `network: {ip: global_unicast}`, `network: {ip: ["fd00::/8", 8.0.0.0/7]}`, `network: {a: loopback}`,
		`has_fields: [a, o]`, `has_fields: [o.c]`, `has_fields: [o.c.d]`, `has_fields: []`,
		`and: [{has_fields: [a]}, {not: {equals: {b: x}}}]`, `or: [{equals: {a: x}}, {and: [{contains: {b: x}}, {has_fields: [ip]}]}]`, `not: {or: [{has_fields: [tags]}]}`,
	} {
		ours, err := parse(t, text)
		if err != nil {
			t.Fatal(err)
		}
		c, err := common.NewConfigWithYAML([]byte(text), "test")
		if err != nil {
			t.Fatal(err)
		}
		var cfg conditions.Config
		if err := c.Unpack(&cfg); err != nil {
			t.Fatal(text, err)
		}
		ref, err := conditions.NewCondition(&cfg)
		if err != nil {
			t.Fatal(text, err)
		}
		for range 500 {
			e := random()
			want := ref.Check(nested(&e))
			if got := ours.Check(&e); got != want {
				t.Fatalf("%s on %s: %t, libbeat says %t", text, processor.AppendJSON(nil, &e), got, want)
			}
			hits[fmt.Sprint(want)]++
		}
		if ours.String() == "" {
			t.Error("no words")
		}
	}
	if hits["true"] < 1000 || hits["false"] < 1000 {
		t.Errorf("the events prove little: %v", hits)
	}
}

func TestRefused(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if _, err := parse(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n got %v\nwant %s", text, err, want)
		}
	}
	f("equal: {a: 1}\n", "test.yml:1: equal: unknown condition; known here are and, contains, equals, has_fields, network, not, or, range, regexp; did you mean equals?")
	f("equals: {a: 1}\ncontains: {b: x}\n", "test.yml:2: contains: one condition is wanted here")
	f("equals: {a: 1.5}\n", "only texts")
	f("equals: x\n", "fields and values")
	f("contains: {a: 5}\n", "test.yml:1: contains.a: a text is wanted")
	f("regexp: {a: '('}\n", "missing closing")
	f("range: {a: 5}\n", "gte, gt, lte or lt")
	f("range: {a: {gte: x}}\n", "is no number")
	f("range: {a: {above: 5}}\n", "gte, gt, lte or lt")
	f("network: {a: 10.0.0.0/99}\n", "neither a network")
	f("and: {a: 1}\n", "a list is wanted")
	f("or: []\n", "a list of conditions")
	f("{}\n", "a condition is wanted")
	f("not: &x {not: *x}\n", "nesting is too deep")
	f("equals: &x {a: *x}\n", "nesting is too deep")
}

func BenchmarkCheck(b *testing.B) {
	c, err := parse(b, `and: [{equals: {log.level: error}}, {contains: {message: timeout}}]`)
	if err != nil {
		b.Fatal(err)
	}
	e := event.Event{Fields: []event.Field{{Name: "host.name", Value: "n"}, {Name: "message", Value: "a timeout"}, {Name: "log.level", Value: "error"}}}
	b.ReportAllocs()
	for b.Loop() {
		if !c.Check(&e) {
			b.Fatal("no")
		}
	}
}
