package processing

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/monitoring"
	"github.com/elastic/beats/v7/libbeat/processors"
	"pgregory.net/rapid"
)

// theirs is libbeat's register as it was.
var theirs map[string]entry

func TestMain(m *testing.M) {
	theirs = maps.Clone(*(*map[string]entry)(unsafe.Pointer(registry)))
	Register(monitoring.NewRegistry())
	os.Exit(m.Run())
}

// failing is what a testing.TB and a rapid.T have in common.
type failing interface {
	Helper()
	Fatal(args ...any)
}

func read(t failing, text string) processors.PluginConfig {
	t.Helper()
	c, err := common.NewConfigWithYAML([]byte("processors:\n"+text), "test")
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Processors processors.PluginConfig `config:"processors"`
	}
	if err := c.Unpack(&list); err != nil {
		t.Fatal(err)
	}
	return list.Processors
}

// chain makes the processors of a configuration as libbeat does, with ours in its register.
func chain(t failing, text string) []processors.Processor {
	t.Helper()
	p, err := processors.New(read(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return p.List
}

// libbeats makes them of libbeat's own.
func libbeats(t failing, text string) (list []processors.Processor) {
	t.Helper()
	for _, c := range read(t, text) {
		name := c.GetFields()[0]
		sub, err := c.Child(name, -1)
		if err != nil {
			t.Fatal(err)
		}
		p, err := theirs[name].Plugin()(sub)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	return list
}

var names = []string{"a", "b", "c", "a.b", "a.c", "a.b.c", "b.a", "c.c", "type", "@timestamp", "@metadata", "@metadata.x", "message"}

func objects(depth int) *rapid.Generator[common.MapStr] {
	return rapid.Custom(func(t *rapid.T) common.MapStr {
		m := common.MapStr{}
		for _, k := range []string{"a", "b", "c", "a.b", "type", "message"} {
			switch kind := rapid.IntRange(0, 8).Draw(t, k); {
			case kind < 3 && depth > 0:
				sub := objects(depth-1).Draw(t, k+" object")
				if m[k] = sub; kind == 0 {
					m[k] = map[string]any(sub)
				}
			case kind == 3:
				m[k] = rapid.SampledFrom([]string{"", "x", "k8s_x", "\n"}).Draw(t, k+" text")
			case kind == 4:
				m[k] = int64(rapid.IntRange(-3, 300).Draw(t, k+" number"))
			case kind == 5:
				m[k] = []string{"p", "k8s_q"}
			}
		}
		if m["a"] != nil { // the same leaf under two names; libbeat itself mixes them up
			delete(m, "a.b")
		}
		return m
	})
}

// withoutMeta takes away what libbeat's include_fields writes a second time into the fields.
func withoutMeta(m common.MapStr) common.MapStr {
	m = maps.Clone(m)
	delete(m, "@metadata")
	delete(m, "@timestamp")
	return m
}

func TestIncludeFieldsAsLibbeat(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 6, rapid.ID[string]).Draw(t, "fields")
		text := "- include_fields: {fields: ['" + strings.Join(list, "', '") + "']}"
		fields := objects(2).Draw(t, "event")
		run := func(p processors.Processor) (common.MapStr, bool) {
			e := &beat.Event{Timestamp: time.Unix(1, 0), Meta: common.MapStr{"x": "y"}, Fields: fields.Clone()}
			out, err := p.Run(e)
			return withoutMeta(out.Fields), err != nil
		}
		got, gotErr := run(chain(t, text)[0])
		want, wantErr := run(libbeats(t, text)[0])
		if !reflect.DeepEqual(got, want) || gotErr != wantErr {
			t.Fatalf("%s\nof %v\n got %v (error %t)\nwant %v (error %t)", text, fields, got, gotErr, want, wantErr)
		}
	})
}

func TestDropEventAsLibbeat(t *testing.T) {
	conditions := []string{
		`regexp: {a.b: "^.+"}`, `regexp: {a.b: "^k8s_.*", c: "^x"}`, `not: {regexp: {a.b: "^.+"}}`, `regexp: {"a": {"c": "^k8s"}}`,
		`not: {not: {regexp: {c: "^.*"}}}`, `equals: {c: x}`, `and: [{regexp: {a: "^.+"}}, {has_fields: [b]}]`, `regexp: {c: "x$"}`,
		`or: [{regexp: {a: "^x"}}, {range: {b: {gte: 5}}}]`, `contains: {c: s_}`, `regexp: {c: "^\\d"}`,
	}
	rapid.Check(t, func(t *rapid.T) {
		cond := rapid.SampledFrom(conditions).Draw(t, "condition")
		fields := objects(2).Draw(t, "event")
		kept := func(list []processors.Processor) bool {
			out, err := (&processors.Processors{List: list}).Run(&beat.Event{Fields: fields})
			if err != nil {
				t.Fatal(err)
			}
			return out != nil
		}
		text := fmt.Sprintf("- drop_event: {when: {%s}}", cond)
		want := kept(libbeats(t, text))
		if got := kept(chain(t, text)); got != want {
			t.Fatalf("%s\nof %v: kept %t, want %t", text, fields, got, want)
		}
		// include_event is the opposite.
		if got := kept(chain(t, fmt.Sprintf("- include_event: {when: {%s}}", cond))); got == want {
			t.Fatalf("include_event, %s\nof %v: kept %t", cond, fields, got)
		}
		// A condition before include_fields means what libbeat means by it.
		inc := fmt.Sprintf("- include_fields: {fields: [b], when: {%s}}", cond)
		first, err := chain(t, inc)[0].Run(&beat.Event{Fields: fields})
		second, err2 := libbeats(t, inc)[0].Run(&beat.Event{Fields: fields})
		if err != nil || err2 != nil || !reflect.DeepEqual(first.Fields, second.Fields) {
			t.Fatalf("%s\nof %v: %v, %v, want %v, %v", inc, fields, first.Fields, err, second.Fields, err2)
		}
	})
}
