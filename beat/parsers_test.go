package beat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strings"
	"syscall"
	"testing"
)

// What applog makes of JSON lines and of containers' files is what Filebeat's own inputs make of them: both read the same files in
// one agent, and their events are compared, but for the time of reading and what tells the inputs apart. Two things differ on
// purpose (and applog is told not to go on where the other input has got to: registry none): log.offset is that of the event, where Filebeat's is that of the first line of another stream that it left out before; and
// applog sets no flag "multiline".
func TestParsersAreFilebeats(t *testing.T) {
	lines := strings.Join([]string{
		`{"level":"info","message":"one","n":1,"f":1.5,"log":{"x":1},"agent":"mine","a.b":{"c":2},"id":"x1"}`,
		`{"level":"warn","n":12345678901234567890,"@timestamp":"2020-01-02T03:04:05.678Z","tags":["a"],"id":"x2"}`,
		`not json`, `{"message":7,"id":"x3"}`, `{"broken":`, `[1,2]`, `"text"`, `{}`, `{"message":"","id":8}`, `null`,
		`{"error":{"message":"own"},"message":"with error","@timestamp":"yesterday","type":"t"}`, `{"message":"trailing"} rest`,
	}, "\n") + "\n"
	cri := strings.Join([]string{
		`2020-01-02T03:04:05.000000001Z stdout F plain line`, `2020-01-02T03:04:06.1Z stdout P first `, `2020-01-02T03:04:06.2Z stdout P second `,
		`2020-01-02T03:04:06.3Z stdout F third`, `2020-01-02T03:04:07Z stderr F an error`, `2020-01-02T03:04:08+02:00 stdout F:x  two spaces `,
	}, "\n") + "\n"
	docker := strings.Join([]string{
		`{"log":"plain line\n","stream":"stdout","time":"2020-01-02T03:04:05.000000001Z"}`,
		`{"log":"first ","stream":"stdout","time":"2020-01-02T03:04:06Z"}`, `{"log":"second\n","stream":"stdout","time":"2020-01-02T03:04:07Z"}`,
		`{"log":"an <error> 失败\n","stream":"stderr","time":"2020-01-02T03:04:08Z","attrs":{"k":"v"}}`,
	}, "\n") + "\n"
	dir := t.TempDir()
	type test struct{ name, text, both, theirs, ours string }
	tests := []test{
		{"cri", cri, "", "type: container, stream: all", "container: {}"}, {"docker", docker, "", "type: container", "container: {format: docker}"},
		{"err", cri, "", "type: container, stream: stderr, format: cri", "container: {stream: stderr}"},
		{"lines", cri, "exclude_lines: ['^an'], include_lines: ['error', 'line']", "type: container", "container: {}"},
		{"multi", cri, "multiline: {pattern: '^(an|first)', match: after}", "type: container", "container: {}"},
	}
	for i, o := range []string{
		"{}", "{message_key: message}", "{keys_under_root: true}", "{keys_under_root: true, overwrite_keys: true}",
		"{keys_under_root: true, overwrite_keys: true, add_error_key: true, message_key: message}", "{add_error_key: true, message_key: nothere}",
		"{keys_under_root: true, expand_keys: true, overwrite_keys: true}", "{keys_under_root: true, document_id: id}", "{document_id: id, ignore_decoding_error: true}",
	} {
		tests = append(tests, test{fmt.Sprint("json", i), lines, "json: " + o, "type: log", ""})
	}
	var inputs strings.Builder
	for _, c := range tests {
		file := filepath.Join(dir, c.name+".log")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, mine := range []string{c.theirs, "type: applog, partial_timeout: 1s, registry: none, " + c.ours} {
			parts := strings.ReplaceAll(strings.Trim(mine+", "+c.both, ", "), ", , ", ", ")
			fmt.Fprintf(&inputs, "  - {paths: [%q], %s}\n", file, parts)
		}
	}
	out := t.TempDir()
	config := write(t, fmt.Sprintf("tallybeat.inputs:\n%soutput.file: {path: %q, filename: out}\nqueue.mem.flush.timeout: 100ms\n", &inputs, out))
	cmd, log := agent(t, t.TempDir(), config, "-e")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var theirs, ours map[string][]map[string]any
	until(t, "both have read everything", log, func() bool {
		theirs, ours = eventsOf(t, out)
		for _, c := range tests {
			// Of the last event of multi, both wait for another line.
			want, special := map[string]int{"cri": 4, "docker": 3, "err": 1, "lines": 1, "multi": 2}[c.name]
			if !special {
				want = strings.Count(lines, "\n")
			}
			file := filepath.Join(dir, c.name+".log")
			if len(theirs[file]) < want || len(ours[file]) < want {
				return false
			}
		}
		return true
	})
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	theirs, ours = eventsOf(t, out)
	for name, want := range theirs {
		if got := ours[name]; !reflect.DeepEqual(got, want) {
			for i := range max(len(got), len(want)) {
				if i >= len(got) || i >= len(want) || !reflect.DeepEqual(got[i], want[i]) {
					a, _ := json.Marshal(append(got, nil)[min(i, len(got))])
					b, _ := json.Marshal(append(want, nil)[min(i, len(want))])
					t.Errorf("%s, event %d of %d and %d\nours   %s\ntheirs %s", filepath.Base(name), i, len(got), len(want), a, b)
					break
				}
			}
		}
	}
}

// eventsOf reads an output file: the events of Filebeat's inputs and of applog, by file and in the order of their offsets.
func eventsOf(t *testing.T, dir string) (theirs, ours map[string][]map[string]any) {
	theirs, ours = map[string][]map[string]any{}, map[string][]map[string]any{}
	names, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		for d.More() {
			var e map[string]any
			if d.Decode(&e) != nil {
				break // its end is being written
			}
			log, _ := e["log"].(map[string]any)
			file, _ := log["file"].(map[string]any)
			input, _ := e["input"].(map[string]any)
			path, _ := file["path"].(string)
			meta, _ := e["@metadata"].(map[string]any)
			kind := input["type"]
			if ts, _ := e["@timestamp"].(string); !strings.HasPrefix(ts, "2020") {
				delete(e, "@timestamp")
			}
			delete(e, "input")
			if filepath.Base(path) == "err.log" {
				delete(log, "offset")
			}
			if flags, _ := log["flags"].([]any); len(flags) == 1 && flags[0] == "multiline" {
				delete(log, "flags")
			}
			delete(meta, "tally")
			if kind == "applog" {
				ours[path] = append(ours[path], e)
			} else {
				theirs[path] = append(theirs[path], e)
			}
		}
	}
	for _, m := range []map[string][]map[string]any{theirs, ours} {
		for _, list := range m {
			sort.SliceStable(list, func(i, j int) bool { return offsetOf(list[i]) < offsetOf(list[j]) })
		}
	}
	return theirs, ours
}

func offsetOf(e map[string]any) int64 {
	log, _ := e["log"].(map[string]any)
	n, _ := log["offset"].(json.Number)
	i, _ := n.Int64()
	return i
}
