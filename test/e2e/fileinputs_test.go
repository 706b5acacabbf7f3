package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/test/rig"
)

// TestFilebeatsInputs: lines that Filebeat's own inputs read are stored once, though the agent is killed and, as a pod without a volume, loses
// what it knew; the account of each file is complete.
func TestFilebeatsInputs(t *testing.T) {
	s := rig.NewServer(t, t.TempDir(), "").Start()
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	const n, more = 20_000, 100
	containers := func(from, to int) string {
		var b strings.Builder
		for i := from; i < to; i++ {
			fmt.Fprintf(&b, "2024-05-06T07:08:09.%09dZ stdout F line %d of a container's file, in the form of the container runtime interface\n", i, i)
		}
		return b.String()
	}
	var json strings.Builder
	for i := range n {
		fmt.Fprintf(&json, `{"level":"info","text":"line %d of a file that has JSON in it"}`+"\n", i)
	}
	write(t, file("log.log"), numbered(0, n))
	write(t, file("stream.log"), numbered(0, n))
	write(t, file("multi.log"), "first\n continued\nsecond\n continued\n and on\n")
	write(t, file("container.log"), containers(0, n))
	write(t, file("json.log"), json.String())
	a := rig.NewAgent(t, s.Lumberjack, fmt.Sprintf(`
- {type: log, paths: [%q], fields: {kind: log}, exclude_lines: ["^line 7 "]}
- {type: filestream, id: s, paths: [%q], fields: {kind: stream}}
- {type: filestream, id: m, paths: [%q], fields: {kind: multi}, parsers: [{multiline: {pattern: "^ ", match: after, timeout: 5s}}]}
- {type: container, paths: [%q], fields: {kind: container}}
- {type: log, paths: [%q], fields: {kind: json}, json.keys_under_root: true, processors: [{drop_event: {when: {contains: {text: "line 9 "}}}}]}
`, file("log.log"), file("stream.log"), file("multi.log"), file("container.log"), file("json.log"))).Start()
	check := func(what string, lines int) {
		t.Helper()
		for kind, want := range map[string]int{"log": lines - 1, "stream": lines, "container": lines, "json": n - 1, "multi": 2} {
			s.WaitCount("fields.kind:="+kind, want, time.Minute)
		}
		for _, kind := range []string{"log", "stream", "container"} {
			if lost, doubled := rig.Tallied(s.Events("fields.kind:="+kind, "message"), lines, number); lost > 1 || doubled != 0 || lost == 1 && kind != "log" {
				t.Errorf("%s, %s: %d lost, %d doubled", what, kind, lost, doubled)
			}
		}
		for _, name := range []string{"log.log", "stream.log", "container.log", "json.log", "multi.log"} {
			rig.Eventually(t, 30*time.Second, "a full account of "+name+", "+what, func() bool {
				src := s.Sources(file(name))
				return len(src) == 1 && fmt.Sprint(src[0].Ranges) == fmt.Sprintf("[[0 %d]]", size(t, file(name))) && len(src[0].Gaps) == 0 && src[0].Conflicts == 0
			})
		}
	}
	rig.Eventually(t, time.Minute, "some events", func() bool { return s.Count("*") > 100 })
	a.Kill()
	a.Start()
	check("after a kill", n)
	a.Kill()
	if err := os.RemoveAll(filepath.Join(a.Home, "data")); err != nil {
		t.Fatal(err)
	}
	write(t, file("log.log"), numbered(n, n+more))
	write(t, file("stream.log"), numbered(n, n+more))
	write(t, file("container.log"), containers(n, n+more))
	a.Start()
	check("without what it knew", n+more)
	if src := s.Sources(file("log.log")); len(src) != 1 || src[0].Duplicates == 0 {
		t.Errorf("nothing was sent twice: %+v", src)
	}
	// applog names the file as Filebeat's inputs do: who changes over is not told of another file.
	a.Stop()
	before := len(s.Sources(""))
	rig.NewAgent(t, s.Lumberjack, fmt.Sprintf("- {type: applog, paths: [%q]}\n", file("stream.log"))).Start()
	rig.Eventually(t, time.Minute, "the same lines, refused", func() bool {
		src := s.Sources(file("stream.log"))
		return len(src) == 1 && src[0].Duplicates >= 2*n+more
	})
	if n := len(s.Sources("")); n != before {
		t.Errorf("%d sources, %d before", n, before)
	}
	s.WaitCount("*", 3*(n+more)-1+n-1+2, 30*time.Second)
}
