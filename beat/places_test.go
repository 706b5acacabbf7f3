package beat

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const sample = `tallybeat.inputs:
  - type: applog
    paths: [a]
  - type: log
    max_bytes: lots
queue.mem:
  flush.min_events: x
queue:
  mem.events: 3
processors:
  - nosuch: ~
output:
  logstash:
    worker: x
`

func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "tallybeat.yml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestPlaces(t *testing.T) {
	name := write(t, sample)
	f := func(message, want string) {
		t.Helper()
		got := strings.ReplaceAll(strings.Join(places([]string{name}, message), "; "), name, "F")
		if got != want {
			t.Errorf("%s: %q, want %q", message, got, want)
		}
	}
	f("bad accessing 'tallybeat.inputs.1.max_bytes' (source:'x')", "F:5: tallybeat.inputs.1.max_bytes")
	f("bad accessing 'tallybeat.inputs.0'", "F:2: tallybeat.inputs.0")
	f("bad accessing 'tallybeat.inputs.0.nothere'", "F:2: tallybeat.inputs.0.nothere")
	f("bad accessing 'tallybeat.inputs.7.type'", "F:1: tallybeat.inputs.7.type")
	f("bad accessing 'queue.mem.flush.min_events'", "F:7: queue.mem.flush.min_events")
	f("bad accessing 'queue.mem.events'", "F:9: queue.mem.events")
	f("bad accessing 'output.logstash.worker'", "F:14: output.logstash.worker")
	f("the processor action nosuch does not exist. Valid actions: a, b", "F:11: nosuch")
	f("bad accessing 'queue'", "F:6: queue")
	f("bad accessing 'tallybeat'", "F:1: tallybeat")
	f("bad accessing 'nowhere.at.all'", "")
	f("a network is down", "")
}

// Processors that are not right are named with their line, also where libbeat's error does not say of which key it speaks.
func TestPlacesOfProcessors(t *testing.T) {
	f := func(processor, message, want string) {
		t.Helper()
		name := write(t, "x: '('\nprocessors:\n- "+processor+"\n")
		if got := strings.ReplaceAll(strings.Join(places([]string{name}, message), "; "), name, "F"); got != want {
			t.Errorf("%s: %q, want %q", processor, got, want)
		}
	}
	f("drop_event.when.regexp.message: 'a('", "failed to initialize condition: error parsing regexp: missing closing ): `a(`", "F:3: a(")
	f("drop_event.when.regexp.message: 'a\\q('", "failed: error parsing regexp: invalid escape sequence: `\\q`", "F:3: a\\q(")
	f("drop_evnt.when.regexp.message: a", "the processor action drop_evnt does not exist. Valid actions: a", "F:3: drop_evnt")
}

func TestCheckFiles(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		name := write(t, text)
		err := checkFiles([]string{name})
		got := ""
		if err != nil {
			got = strings.ReplaceAll(err.Error(), name, "F")
		}
		if got != want {
			t.Errorf("%s\n%s\nwant\n%s", text, got, want)
		}
	}
	f("output.logstash: {hosts: [a]}\n", "")
	f("output:\n  console.pretty: true\n  nosuch: {}\n", "unknown output \"nosuch\"\n  at F:3: output.nosuch")
	f("x: 1\noutput.nosuch.hosts: [a]\n", "unknown output \"nosuch\"\n  at F:2: output.nosuch")
	f("a:\n  - b: c\n     d: e\n",
		"cannot read configuration \"F\": yaml: line 3: mapping values are not allowed in this context\n  at F:3: d: e")
	f("", "")
}

func FuzzPlaces(f *testing.F) {
	f.Add(sample, "bad accessing 'tallybeat.inputs.1.max_bytes'")
	f.Add("a: &x {b: *x}\n", "bad accessing 'a.b.b.b'")
	f.Fuzz(func(t *testing.T, text, message string) {
		name := write(t, text)
		for _, p := range places([]string{name}, message) {
			if !strings.HasPrefix(p, name+":") {
				t.Fatalf("a place outside of the file: %q", p)
			}
		}
	})
}
