package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	lumber "github.com/elastic/go-lumber/server/v2"

	"github.com/tallylog/tally/test/rig"
)

// compared are the configurations that a genuine Filebeat and ours run, LOGS being the directory of the files and ADDR the output.
// docs/compatibility.md has what may differ, and why.
var compared = map[string]string{
	"inputs": `
name: node-1
tags: [all]
filebeat.inputs:
- {type: log, paths: [LOGS/plain.log], fields: {case: log, nested: {a: 1, b: [x, 2.5]}}, tags: [t1], exclude_lines: ['^DEBUG'], max_bytes: 60}
- {type: log, paths: [LOGS/plain.log.copy], fields: {case: root, log.level: none}, fields_under_root: true, include_lines: ['a'], index: other, pipeline: cleaning}
- {type: log, paths: [LOGS/json.log], fields: {case: json}, json: {keys_under_root: true, overwrite_keys: true, add_error_key: true, message_key: msg}}
- {type: log, paths: [LOGS/json.log.2], fields: {case: json below}, json: {message_key: msg, document_id: id}, keep_null: true}
- {type: log, paths: [LOGS/stack.log], fields: {case: multiline}, multiline: {pattern: '^\s', match: after, max_lines: 4}}
- {type: log, paths: [LOGS/utf16.log], fields: {case: encoding}, encoding: utf-16le}
- {type: log, paths: [LOGS/plain.log.3], fields: {case: processors}, processors: [{dissect: {tokenizer: '%{first} %{rest}', field: message}}, {drop_event: {when: {contains: {message: dropped}}}}, {add_labels: {labels: {l: v}}}]}
- {type: container, paths: [LOGS/docker-json.log], fields: {case: docker}}
- {type: container, paths: [LOGS/cri.log], fields: {case: cri}, stream: stdout}
- {type: filestream, id: f1, paths: [LOGS/stream.log], fields: {case: filestream}}
- {type: filestream, id: f2, paths: [LOGS/stream.json], fields: {case: ndjson}, parsers: [{ndjson: {target: parsed, add_error_key: true, message_key: msg}}]}
- {type: filestream, id: f3, paths: [LOGS/stack.log.2], fields: {case: stream multiline}, parsers: [{multiline: {pattern: '^\s', match: after}}]}
- {type: filestream, id: f4, paths: [LOGS/cri.log.2], fields: {case: stream container}, parsers: [{container: {stream: all, format: cri}}], include_lines: ['e']}
- {type: stdin, enabled: false}
`,
	"processors": `
name: node-2
fields: {env: test, list: [1, two, 3.5], deep: {er: {est: true}}}
fields_under_root: true
filebeat.inputs:
- {type: log, paths: [LOGS/json.log], json: {keys_under_root: true}}
- {type: filestream, id: p1, paths: [LOGS/stream.log]}
processors:
- add_host_metadata: {netinfo.enabled: true}
- add_locale: ~
- add_fields: {target: added, fields: {a: 1, b: {c: [1, {d: 2}]}}}
- add_tags: {tags: [late], target: more.tags}
- copy_fields: {fields: [{from: message, to: copy}], fail_on_error: false, ignore_missing: true}
- rename: {fields: [{from: copy, to: renamed.copy}], ignore_missing: true, fail_on_error: false}
- convert: {fields: [{from: n, to: n_text, type: string}, {from: text, to: n_int, type: integer}], ignore_missing: true, fail_on_error: false, mode: copy}
- decode_json_fields: {fields: [inner], target: decoded, max_depth: 2}
- dissect: {tokenizer: 'line %{number} of %{rest}', field: message, target_prefix: cut, ignore_failure: true}
- extract_array: {field: array, mappings: {first_of_array: 0}, ignore_missing: true, fail_on_error: false}
- fingerprint: {fields: [log.offset], target_field: print}
- replace: {fields: [{field: renamed.copy, pattern: 'o', replacement: '0'}], ignore_missing: true, fail_on_error: false}
- truncate_fields: {fields: [renamed.copy], max_characters: 9, ignore_missing: true, fail_on_error: false}
- urldecode: {fields: [{from: url, to: url_decoded}], ignore_missing: true, fail_on_error: false}
- script: {lang: javascript, source: 'function process(e) { e.Put("scripted", e.Get("log.offset") + 1); e.Tag("js"); }'}
- timestamp: {field: when, layouts: ['2006-01-02T15:04:05Z'], ignore_missing: true, ignore_failure: true}
- drop_event: {when: {or: [{equals: {level: trace}}, {regexp: {message: 'dropped$'}}]}}
- drop_fields: {fields: [agent.ephemeral_id, input, nothing.there], ignore_missing: true}
- drop_fields: {fields: ['/^secret/'], ignore_missing: true}
- if: {has_fields: [level]}
  then: [{add_tags: {tags: [with level]}}]
  else: [{include_fields: {fields: [message, log, tags, host.name, added, scripted]}}]
`,
	"modules": `
filebeat.modules:
- module: nginx
  access: {var.paths: [LOGS/plain.log]}
  error: {var.paths: [LOGS/stack.log]}
  ingress_controller: {enabled: false}
- module: system
  syslog: {var.paths: [LOGS/stream.log]}
  auth: {enabled: false}
`,
}

// allowed are the fields in which the two may differ: times, ids, and what is ours.
var allowed = []string{"@timestamp", "agent.id", "agent.ephemeral_id", "event.created", "@metadata.tally"}

// same are the files that both read.
func same(t *testing.T) (dir string) {
	dir = t.TempDir()
	plain := "first line\nDEBUG left out\n\n<b>html & \"quotes\" \\ / \u2028\x01\x7f</b>\ttab\r\nünïcödé 日志 \U0001F600 and so long that it is cut somewhere in the middle of it\ninvalid \xff\xfe bytes\nthis is dropped\n10.0.0.1 - - [06/May/2024:07:08:09 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\"\nlast a\n"
	stack := "Exception: it failed\n\tat a\n\tat b\n\n\tat c\n\tat d\n\tat e\nnext\n  more of it\nend\nterminator\n"
	objects := `{"msg":"all kinds","n":1,"f":1.0,"big":12345678901234567890,"e":1e21,"neg":-0.5,"t":true,"z":null,"array":[1,"a",{"b":[]}],"o":{},"level":"info","url":"a%20b","when":"2024-05-06T07:08:09Z","text":"42","inner":"{\"a\":{\"b\":{\"c\":1}}}","secret1":1,"id":"doc-1"}
{"msg":"names","a.b":1,"a":{"c":2},"@timestamp":"2024-05-06T07:08:09Z","message":"mine","log":"text","tags":["own"],"host":"h","":1}
no json at all
{"msg":7,"broken":
{"level":"trace","msg":"dropped by its level"}
{"msg":"\ud83d\ude00 \u0000 <&>","nested":{"nested":{"nested":{"x":1.5e-7}}},"text":"no number"}
`
	cri := "2024-05-06T07:08:09.000000001Z stdout F one\n2024-05-06T07:08:09.000000002Z stdout P part one, \n2024-05-06T07:08:09.000000003Z stdout F part two\n2024-05-06T07:08:09.000000004Z stderr F error\n2024-05-06T07:08:10Z stdout F end\n"
	docker := `{"log":"one\n","stream":"stdout","time":"2024-05-06T07:08:09.1Z"}` + "\n" + `{"log":"half ","stream":"stderr","time":"2024-05-06T07:08:09.2Z"}` + "\n" + `{"log":"a line\n","stream":"stderr","time":"2024-05-06T07:08:09.3Z"}` + "\n" + `{"log":"attr\n","stream":"stdout","time":"2024-05-06T07:08:09.4Z","attrs":{"tag":"x"}}` + "\n"
	var wide bytes.Buffer
	for _, r := range "wide one\r\nweit zwei ü\n宽 三\n" {
		wide.Write([]byte{byte(r), byte(r >> 8)})
	}
	for name, text := range map[string]string{
		"plain.log": plain, "plain.log.copy": plain + "another\n", "plain.log.3": plain + "a third\n", "stack.log": stack, "stack.log.2": stack, "json.log": objects, "json.log.2": objects, "stream.json": objects,
		"utf16.log": wide.String(), "stream.log": numbered(0, 50), "docker-json.log": docker, "cri.log": cri, "cri.log.2": cri,
	} {
		write(t, filepath.Join(dir, name), text)
	}
	return dir
}

// collected are the events that came to a genuine Lumberjack server, numbers as they were written.
type collected struct {
	mu   sync.Mutex
	all  []map[string]any
	last time.Time
}

func collect(t *testing.T) (c *collected, addr string) {
	t.Helper()
	c = &collected{last: time.Now()}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := lumber.NewWithListener(l, lumber.JSONDecoder(func(text []byte, v any) error {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		return d.Decode(v)
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	go func() {
		for b := range s.ReceiveChan() {
			c.mu.Lock()
			for _, e := range b.Events {
				c.all = append(c.all, e.(map[string]any))
			}
			c.last = time.Now()
			c.mu.Unlock()
			b.ACK()
		}
	}()
	return c, l.Addr().String()
}

// quiet tells whether something has come, and nothing more since a while.
func (c *collected) quiet() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.all) > 0 && time.Since(c.last) > 4*time.Second
}

// settled are the events of both once they are of the same lines and no more come. Where they stay different it is not for want of time.
func settled(genuine, ours *collected) (want, have map[string]map[string]any) {
	for end := time.Now().Add(3 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		if genuine.quiet() && ours.quiet() {
			want, have = genuine.events(), ours.events()
			if slices.Equal(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(have))) {
				return want, have
			}
		}
		if time.Now().After(end) {
			return genuine.events(), ours.events()
		}
	}
}

// events are those by file and offset, flat.
func (c *collected) events() map[string]map[string]any {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]map[string]any{}
	for _, e := range c.all {
		flat := map[string]any{}
		flatten(flat, "", e)
		key := fmt.Sprintf("%v@%v %v", flat["log.file.path"], flat["log.offset"], flat["fields.case"])
		for out[key] != nil {
			key += "+"
		}
		out[key] = flat
	}
	return out
}

func flatten(to map[string]any, prefix string, v any) {
	m, ok := v.(map[string]any)
	if !ok || len(m) == 0 && prefix != "" {
		to[prefix] = v
		return
	}
	for k, x := range m {
		flatten(to, strings.TrimPrefix(prefix+"."+k, "."), x)
	}
}

// TestSameEvents: a genuine Filebeat 7.17.29 and ours make the same events of the same files by the same configuration, field by field
// and number by number, but for what is allowed to differ.
func TestSameEvents(t *testing.T) {
	ours := filepath.Join(t.TempDir(), "filebeat")
	if err := os.Symlink(rig.Tallybeat(t), ours); err != nil {
		t.Fatal(err)
	}
	genuine := rig.Filebeat(t)
	for name, config := range compared {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			logs := same(t)
			var got []*collected
			for _, program := range []string{genuine, ours} {
				c, addr := collect(t)
				home := t.TempDir()
				if err := os.Symlink(filepath.Join(beatsModule(t), "filebeat", "module"), filepath.Join(home, "module")); err != nil {
					t.Fatal(err)
				}
				text := strings.ReplaceAll(config, "LOGS", logs) + fmt.Sprintf("output.logstash.hosts: [%q]\n", addr)
				if err := os.WriteFile(filepath.Join(home, "filebeat.yml"), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				rig.Start(t, nil, program, "-e", "-c", filepath.Join(home, "filebeat.yml"), "--path.home", home, "--strict.perms=false")
				got = append(got, c)
			}
			want, have := settled(got[0], got[1])
			t.Logf("%d events", len(want))
			for _, key := range slices.Sorted(maps.Keys(want)) {
				if have[key] == nil {
					t.Errorf("%s is not among ours", key)
					continue
				}
				for _, d := range differences(want[key], have[key]) {
					t.Errorf("%s: %s", key, d)
				}
			}
			for _, key := range slices.Sorted(maps.Keys(have)) {
				if want[key] == nil {
					t.Errorf("%s is only among ours: %v", key, have[key])
				}
			}
		})
	}
}

// differences are those between two events that are not allowed.
func differences(want, have map[string]any) (list []string) {
	keys := map[string]bool{}
	for k := range want {
		keys[k] = true
	}
	for k := range have {
		keys[k] = true
	}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if k == "@timestamp" && !recent(want[k]) {
			// It is out of the line, and the same for both.
		} else if slices.ContainsFunc(allowed, func(a string) bool { return k == a || strings.HasPrefix(k, a+".") }) {
			continue
		}
		w, inWant := want[k]
		h, inHave := have[k]
		if inWant != inHave || !reflect.DeepEqual(w, h) {
			list = append(list, fmt.Sprintf("%s is %#v (%v), want %#v (%v)", k, h, inHave, w, inWant))
		}
	}
	return list
}

// recent tells whether a time is that of this test.
func recent(v any) bool {
	at, err := time.Parse(time.RFC3339, fmt.Sprint(v))
	return err == nil && time.Since(at) < time.Hour
}

// TestDifferencesAreJustified: every field that may differ stands in the table for the users.
func TestDifferencesAreJustified(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(rig.Root(t), "docs", "compatibility.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range allowed {
		if !strings.Contains(string(text), "| `"+field+"` |") {
			t.Errorf("docs/compatibility.md has no line about %s", field)
		}
	}
}

// beatsModule is the folder of Beats in the module cache.
func beatsModule(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/elastic/beats/v7")
	cmd.Dir = rig.Root(t)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return strings.TrimSpace(string(out))
}
