package applog

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/inputs/multiline"
)

// Each file below testdata of package multiline has the events that the preset of its name makes, parted by lines of three equals signs. They are
// read whole, and again line after line with a restart in between.
func TestPresets(t *testing.T) {
	for _, name := range multiline.Presets() {
		text, err := os.ReadFile(filepath.Join("../multiline/testdata", name+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n===\n")
		for _, extra := range []map[string]any{{}, {"container": map[string]any{}}} {
			r := newRig(t)
			for _, line := range strings.Split(strings.Join(want, "\n"), "\n") {
				if len(extra) > 0 {
					line = "2026-01-02T03:04:05Z stdout F " + line
				}
				r.write("a.log", line+"\n")
			}
			options := map[string]any{"multiline": map[string]any{"preset": name, "timeout": "100ms"}}
			for k, v := range extra {
				options[k] = v
			}
			r.run(options, "*.log")
			es := r.sink.wait(t, len(want))
			for i, e := range es {
				if message(e) != want[i] {
					t.Errorf("%s, event %d is\n%s\nwant\n%s", name, i, message(e), want[i])
					break
				}
			}
			wantWhole(t, es)
			r.stop()
		}
	}
}

// An end that the timeout decided is in the registry before the event is shipped, and is where a replay ends it too, though more lines
// of the same trace came meanwhile.
func TestPresetTimeoutReplay(t *testing.T) {
	for _, kind := range []string{"", "container"} {
		r := newRig(t)
		pack := func(line string) string {
			if kind != "" {
				return "2026-01-02T03:04:05Z stderr F " + line + "\n"
			}
			return line + "\n"
		}
		r.sink.set(false, true)
		r.write("a.log", pack("boom")+pack("Traceback (most recent call last):")+pack(`  File "x"`))
		options := map[string]any{"multiline": map[string]any{"preset": "python", "timeout": "50ms"}}
		if kind != "" {
			options[kind] = map[string]any{}
		}
		r.run(options, "*.log")
		first := r.sink.wait(t, 1)[0]
		r.waitRecord("the cut", func(rec record) bool { return len(rec.Cuts) == 1 && rec.Cuts[0] == position(first).To })
		r.stop()
		r.write("a.log", pack("ValueError: late")+pack("next"))
		r.sink = newSink()
		options["multiline"] = map[string]any{"preset": "python", "timeout": "1h"}
		r.run(options, "*.log")
		r.write("a.log", pack("and one that ends it"))
		again := r.sink.wait(t, 2)
		a, b := position(first), position(again[0])
		if a.ID() != b.ID() || message(again[0]) != message(first) {
			t.Errorf("%q is re-sent as %q", message(first), message(again[0]))
		}
		wantWhole(t, again)
		r.stop()
	}
}

func TestMultilineConfig(t *testing.T) {
	f := func(want string, m map[string]any) {
		t.Helper()
		_, err := parseMap(map[string]any{"paths": []string{"/x"}, "multiline": m})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", m, err, want)
		}
	}
	f("", map[string]any{"preset": "java"})
	f("", map[string]any{"preset": "go", "timeout": time.Second.String()})
	f("want one of go, java, nodejs, python", map[string]any{"preset": "cobol"})
	f("excludes", map[string]any{"preset": "java", "pattern": "x"})
	f("needs a pattern", map[string]any{"match": "after"})
	f("after or before", map[string]any{"pattern": "x"})
}
