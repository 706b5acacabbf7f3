package outputs_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/test/rig"
)

const number = 60_000

// agent is a tallybeat that reads one file of numbered lines, and can be killed and started again.
type agent struct {
	*rig.Process
	t            *testing.T
	home, config string
	file         string
	size         int64
}

func newAgent(t *testing.T, output string) *agent {
	t.Helper()
	a := &agent{t: t, home: t.TempDir(), file: filepath.Join(t.TempDir(), "app.log")}
	a.config = filepath.Join(a.home, "tallybeat.yml")
	var text strings.Builder
	for i := range number {
		fmt.Fprintf(&text, "number %d of the lines that must arrive once\n", i)
	}
	a.size = int64(text.Len())
	config := fmt.Sprintf("tallybeat.inputs:\n- {type: applog, paths: [%q]}\nqueue.mem: {events: 4096, flush.timeout: 100ms}\n%s", a.file, output)
	for name, text := range map[string]string{a.file: text.String(), a.config: config} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

func (a *agent) start() {
	a.t.Helper()
	a.Process = rig.Start(a.t, nil, rig.Tallybeat(a.t), "-e", "-c", a.config, "--path.home", a.home, "--strict.perms=false")
}

// complete waits until the server has the whole file, and checks that it has each line once.
func (a *agent) complete(s *rig.Server) {
	a.t.Helper()
	s.WaitCount("*", number, 2*time.Minute)
	want := fmt.Sprintf("[[0 %d]]", a.size)
	rig.Eventually(a.t, time.Minute, "the account is "+want, func() bool {
		src := s.Sources(a.file)
		return len(src) == 1 && fmt.Sprint(src[0].Ranges) == want && len(src[0].Gaps) == 0
	})
	if n := s.Count("*"); n != number {
		a.t.Errorf("%d events are stored, want %d", n, number)
	}
}

// Over HTTP, with the credentials of a token, agent and server killed on the way: every line once, and an account without a gap.
func TestPushExactlyOnce(t *testing.T) {
	s := rig.NewServer(t, t.TempDir(), "").Start()
	code, body, err := s.Request("POST", "/api/v1/tokens", `{"name":"node","role":"push"}`)
	var token struct{ Token string }
	if err != nil || code/100 != 2 || json.Unmarshal([]byte(body), &token) != nil {
		t.Fatal(code, body, err)
	}
	a := newAgent(t, fmt.Sprintf("output.tally:\n  hosts: [%q]\n  token: %s\n  worker: 2\n  bulk_max_size: 512\n  backoff: {init: 100ms, max: 1s}\n", s.HTTP, token.Token))
	a.start()
	s.WaitCount("*", 1, time.Minute)
	a.Kill()
	a.start()
	s.WaitCount("*", number/4, time.Minute)
	s.Kill()
	s.Start()
	a.complete(s)
}

// A file and a server side by side: while the server is away the file goes on, and the killed agent brings the server what its
// spill holds. The server has each line once, as positions tell it; the file has those twice that the input's registry did not
// know as acknowledged when the agent was killed.
func TestFanOutKilled(t *testing.T) {
	s := rig.NewServer(t, t.TempDir(), "")
	dir := t.TempDir()
	a := newAgent(t, fmt.Sprintf(`output:
  logstash: {hosts: [%q], backoff: {init: 100ms, max: 1s}}
  file: {path: %q, filename: copy, rotate_every_kb: 1000000, rotate_on_startup: false}
`, s.Lumberjack, dir))
	copied := func() map[string]int {
		text, _ := os.ReadFile(filepath.Join(dir, "copy"))
		seen := map[string]int{}
		for _, line := range strings.Split(string(text), "\n") {
			var e struct{ Message string }
			if json.Unmarshal([]byte(line), &e) == nil {
				seen[e.Message]++
			}
		}
		return seen
	}
	a.start()
	rig.Eventually(t, time.Minute, "a part is in the file", func() bool { return len(copied()) > number/4 })
	a.Kill()
	a.start()
	rig.Eventually(t, time.Minute, "all is in the file, with the server away", func() bool { return len(copied()) == number })
	a.Kill()
	s.Start()
	a.start()
	a.complete(s)
}

// Stopped instead of killed, in the middle of its work and with the server away, the agent doubles nothing in the file either.
func TestFanOutStopped(t *testing.T) {
	s := rig.NewServer(t, t.TempDir(), "")
	dir := t.TempDir()
	a := newAgent(t, fmt.Sprintf(`output:
  logstash: {hosts: [%q], backoff: {init: 100ms, max: 1s}}
  file: {path: %q, filename: copy, rotate_every_kb: 1000000, rotate_on_startup: false}
`, s.Lumberjack, dir))
	file := filepath.Join(dir, "copy")
	size := func() int64 {
		info, err := os.Stat(file)
		if err != nil {
			return 0
		}
		return info.Size()
	}
	for range 3 {
		before := size()
		a.start()
		a.Logged("tallybeat is running")
		for deadline := time.Now().Add(time.Second); size() == before && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond) // it may have everything already
		}
		if code := a.Stop(); code != 0 {
			t.Fatalf("the agent ended with %d", code)
		}
	}
	s.Start()
	a.start()
	a.complete(s)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "\n"); n != number {
		t.Errorf("%d lines are in the file, want %d", n, number)
	}
}
