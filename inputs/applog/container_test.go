package applog

import (
	"fmt"
	"strings"
	"testing"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"

	"github.com/tallylog/tally/ledger"
)

func parseMap(m map[string]any) (config, error) { return parse(common.MustNewConfigFrom(m)) }

// pieces adds the ranges to position.
func pieces(e beat.Event) ledger.Position {
	p := position(e)
	list, _ := e.Meta["tally"].(common.MapStr)["ranges"].([]interface{})
	for _, r := range list {
		pair := r.([]interface{})
		p.Ranges = append(p.Ranges, ledger.Range{From: pair[0].(int64), To: pair[1].(int64)})
	}
	return p
}

// wantCovered checks that events, with what they say was skipped, cover the bytes up to end exactly once.
func wantCovered(t *testing.T, es []beat.Event, end int64) {
	t.Helper()
	var all ledger.Set
	sum := int64(0)
	add := func(r ledger.Range) {
		all.Add(r)
		sum += r.Len()
	}
	for _, e := range es {
		p := pieces(e)
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		p.Pieces(add)
		if p.Skipped > 0 {
			add(ledger.Range{From: p.From - p.Skipped, To: p.From})
		}
	}
	if got := fmt.Sprint(all.Ranges()); got != fmt.Sprintf("[{0 %d}]", end) || sum != end {
		t.Errorf("the events cover %s, %d bytes; want all of %d once", got, sum, end)
	}
}

// Pieces of both streams are joined though lines of the other stream lie between, and every byte has one owner.
func TestContainerPieces(t *testing.T) {
	cri := func(stream, flag, text string) string {
		return "2026-01-02T03:04:05.1Z " + stream + " " + flag + " " + text + "\n"
	}
	docker := func(stream, flag, text string) string {
		if flag == "F" {
			text += `\n`
		}
		return fmt.Sprintf(`{"log":"%s","stream":"%s","time":"2026-01-02T03:04:05Z"}`+"\n", text, stream)
	}
	for name, line := range map[string]func(stream, flag, text string) string{"cri": cri, "docker": docker} {
		r := newRig(t)
		a := []string{
			line("stdout", "F", "whole"), line("stdout", "P", "one "), line("stderr", "F", "between"), line("stderr", "P", "err "),
			line("stdout", "P", "two "), line("stdout", "F", "three"), line("stderr", "F", "end"), "\n", line("stdout", "F", "last"),
		}
		r.write("a.log", strings.Join(a[:5], ""))
		r.run(map[string]any{"container": map[string]any{}}, "*.log")
		r.sink.wait(t, 1) // the others wait for their ends
		r.write("a.log", strings.Join(a[5:], ""))
		es := r.sink.wait(t, 5)
		want := []string{"whole", "between", "one two three", "err end", "last"}
		for i, e := range es {
			if message(e) != want[i] {
				t.Errorf("%s: event %d is %q, want %q", name, i, message(e), want[i])
			}
		}
		if s, _ := es[3].Fields.GetValue("stream"); s != "stderr" {
			t.Errorf("%s: stream %v", name, s)
		}
		if es[0].Timestamp.Year() != 2026 {
			t.Errorf("%s: time %v", name, es[0].Timestamp)
		}
		wantCovered(t, es, int64(len(strings.Join(a, ""))))
		r.waitRecord("the end", func(rec record) bool { return rec.Offset == int64(len(strings.Join(a, ""))) })
		r.stop()
	}
}

// What one stream leaves out, processors drop or filters refuse counts as skipped or belongs to the event around it.
func TestContainerSkips(t *testing.T) {
	r := newRig(t)
	r.options.Bundles = false
	r.sink.drop = func(m string) bool { return strings.Contains(m, "drop") }
	text := "2026-01-02T03:04:05Z stderr F no\n2026-01-02T03:04:05Z stdout P a\n2026-01-02T03:04:05Z stderr F no\n" +
		"2026-01-02T03:04:05Z stdout F b\n2026-01-02T03:04:05Z stdout F drop\nnot of a container\n2026-01-02T03:04:05Z stdout F filtered\n" +
		"2026-01-02T03:04:05Z stdout F c\n"
	r.write("a.log", text)
	r.run(map[string]any{"container": map[string]any{"stream": "stdout"}, "exclude_lines": []string{"^filtered"}}, "*.log")
	es := r.sink.wait(t, 3)
	for i, want := range []string{"ab", "not of a container", "c"} {
		if message(es[i]) != want {
			t.Errorf("event %d is %q, want %q", i, message(es[i]), want)
		}
	}
	if e, _ := es[1].Fields.GetValue("error.message"); e == nil {
		t.Error("a line that is none of a container says nothing")
	}
	wantCovered(t, es, int64(len(text)))
}

// A line of many pieces is larger than what is read at a time.
func TestContainerLong(t *testing.T) {
	r := newRig(t)
	piece := strings.Repeat("x", 16<<10)
	var text strings.Builder
	for range 40 {
		text.WriteString("2026-01-02T03:04:05Z stdout P " + piece + "\n")
	}
	text.WriteString("2026-01-02T03:04:05Z stdout F end\n2026-01-02T03:04:05Z stdout F next\n")
	r.write("a.log", text.String())
	r.run(map[string]any{"container": map[string]any{}}, "*.log")
	es := r.sink.wait(t, 2)
	if m := message(es[0]); len(m) != 40*len(piece)+3 || message(es[1]) != "next" {
		t.Errorf("%d bytes and %q", len(m), message(es[1]))
	}
	wantCovered(t, es, int64(text.Len()))
}

// A piece whose end never comes is shipped after partial_timeout, and a replay ends it there too.
func TestContainerEndless(t *testing.T) {
	r := newRig(t)
	r.sink.set(false, true)
	r.write("a.log", "2026-01-02T03:04:05Z stdout P half\n")
	r.run(map[string]any{"container": map[string]any{}, "partial_timeout": "50ms"}, "*.log")
	first := r.sink.wait(t, 1)[0]
	r.stop()
	r.write("a.log", "2026-01-02T03:04:05Z stdout F late\n")
	r.sink = newSink()
	r.run(map[string]any{"container": map[string]any{}}, "*.log")
	es := r.sink.wait(t, 2)
	a, b := position(first), position(es[0])
	if a.ID() != b.ID() || message(es[0]) != "half" || message(es[1]) != "late" {
		t.Errorf("%q %q after %q", message(es[0]), message(es[1]), message(first))
	}
}

func TestOptionsWithoutPlace(t *testing.T) {
	f := func(key string, value any, want string) {
		t.Helper()
		_, err := parseMap(map[string]any{"paths": []string{"/x"}, key: value})
		if (err == nil) != (want == "") || err != nil && !(strings.Contains(err.Error(), want) && strings.Contains(err.Error(), key)) {
			t.Errorf("%s: %v, want %q", key, err, want)
		}
	}
	f("close_removed", true, "stays open")
	f("clean_inactive", "1h", "a week later")
	f("nosuch", 1, "unknown key")
	f("container", map[string]any{"format": "tar"}, "want auto, cri")
	f("container", map[string]any{"stream": "x"}, "want all, stdout")
	f("json", map[string]any{"message_key": "m"}, "")
	f("tail_files", true, "")
	f("scan_frequency", "10s", "")
	f("harvester_limit", 7, "")
	c, err := parseMap(map[string]any{"paths": []string{"/x"}, "tail_files": true, "scan_frequency": "7s", "harvester_limit": 9})
	if err != nil || c.Start != "tail" || c.RescanInterval.Seconds() != 7 || c.MaxOpenFiles != 9 {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := parseMap(map[string]any{"paths": []string{"/x"}, "json": map[string]any{}, "multiline": map[string]any{"preset": "go"}}); err == nil {
		t.Error("multiline joins nothing")
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add("2026-01-02T03:04:05Z stdout F text")
	f.Add(`{"log":"x\n","stream":"stdout","time":"2026-01-02T03:04:05Z","attrs":{"a":"b"}}`)
	f.Fuzz(func(t *testing.T, line string) {
		u := &unpacker{format: "auto"}
		p, err := u.unpack([]byte(line))
		if err == nil && p.time.IsZero() && !strings.Contains(line, "0001-01-01") {
			t.Errorf("%q has no time", line)
		}
	})
}
