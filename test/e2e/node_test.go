package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/test/rig"
)

// TestNode is the main job: a line appended to a file, and an entry of a journal, are found by a query, once, and the account
// is complete.
func TestNode(t *testing.T) {
	s := rig.NewServer(t, t.TempDir(), "").Start()
	logs, journal := t.TempDir(), t.TempDir()
	file := filepath.Join(logs, "app.log")
	write(t, file, "the first line\n")
	writeJournal(t, filepath.Join(journal, "system.journal"), 50)
	a := rig.NewAgent(t, s.Lumberjack, fmt.Sprintf(`
- type: applog
  paths: ["%s/*.log"]
- type: journald
  id: j
  paths: ["%s"]
  seek: head
`, logs, journal)).Start()
	s.WaitCount(`"the first line"`, 1, time.Minute)
	write(t, file, "用户登录失败: the second line\n")
	s.WaitCount("失败", 1, 30*time.Second)
	s.WaitCount("entry", 50, 30*time.Second)
	other := filepath.Join(logs, "later.log")
	write(t, other, "a file that came later\n")
	s.WaitCount(`later`, 1, 30*time.Second)
	if n := s.Count("*"); n != 53 {
		t.Errorf("%d events are stored, want 53", n)
	}
	for name, want := range map[string]string{file: fmt.Sprintf("[[0 %d]]", size(t, file)), other: "[[0 23]]"} {
		if src := s.Sources(name); len(src) != 1 || fmt.Sprint(src[0].Ranges) != want || len(src[0].Gaps) != 0 || src[0].Kind != "file" {
			t.Errorf("account of %s: %+v, want %s", name, src, want)
		}
	}
	rig.Eventually(t, time.Minute, "the agent has told how it is", func() bool {
		var ans struct {
			Agents []struct {
				ID, Client string
				Status     struct {
					Version, Node, Config string
					Inputs                []struct {
						Kind      string
						Open, Lag int
						Sources   []struct {
							Name     string
							Position int
						}
					}
				}
			}
		}
		if err := s.Get("/api/v1/agents", nil, &ans); err != nil || len(ans.Agents) != 1 {
			return false
		}
		st := ans.Agents[0].Status
		told := 0
		for _, in := range st.Inputs {
			if in.Kind == "applog" && in.Open == 2 {
				told++
			}
			if in.Kind == "journald" && in.Open == 1 && in.Lag == 0 && len(in.Sources) == 1 && in.Sources[0].Position == 51 {
				told++
			}
		}
		return told == 2 && st.Version != "" && st.Node != "" && len(st.Config) == 16
	})
	a.Logged("tallybeat is running")
	a.Logged("successfully published")
	if code := a.Stop(); code != 0 {
		t.Errorf("the agent ended with %d", code)
	}
	if code := s.Stop(); code != 0 {
		t.Errorf("the server ended with %d", code)
	}
}

// TestFilebeat: a genuine Filebeat 7.17.29 is a content client.
func TestFilebeat(t *testing.T) {
	s := rig.NewServer(t, t.TempDir(), "").Start()
	file := filepath.Join(t.TempDir(), "app.log")
	const n = 20_000
	write(t, file, numbered(0, n))
	rig.NewFilebeat(t, s.Lumberjack, fmt.Sprintf("- type: log\n  paths: [%q]\n", file)).Start()
	s.WaitCount("*", n, time.Minute)
	if lost, doubled := rig.Tallied(s.Events("*", "message"), n, number); lost != 0 || doubled != 0 {
		t.Errorf("%d lost, %d doubled", lost, doubled)
	}
	e := s.Events(`"line 7 "`, "")
	if len(e) != 1 || e[0]["agent.type"] != "filebeat" || e[0]["log.file.path"] != file || e[0]["input.type"] != "log" {
		t.Errorf("event %v", e)
	}
}

func TestBrokenConfiguration(t *testing.T) {
	for text, want := range map[string]string{
		"http:\n  adress: 127.0.0.1:1\n": "tally.yml:2: http.adress: unknown key",
		"storage: {type: [x}\n":          "tally.yml:1:",
	} {
		file := filepath.Join(t.TempDir(), "tally.yml")
		write(t, file, text)
		p := rig.Start(t, nil, rig.Tally(t), "serve", "-c", file, "--data", t.TempDir())
		if code := p.Wait(10 * time.Second); code != 2 || !strings.Contains(string(p.Log()), want) {
			t.Errorf("exit %d, %s; want 2 and %s", code, p.Log(), want)
		}
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func size(t *testing.T, file string) int64 {
	t.Helper()
	st, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return st.Size()
}

func numbered(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "line %d of a file that is long enough to look like one of a real application\n", i)
	}
	return b.String()
}

func number(message string) int {
	n := -1
	if _, err := fmt.Sscanf(message, "line %d ", &n); err != nil {
		return -1
	}
	return n
}

// writeJournal writes a journal of n entries with the journal's own program.
func writeJournal(t *testing.T, file string, n int) {
	t.Helper()
	var b strings.Builder
	at := time.Now().Add(-time.Hour).UnixMicro()
	for i := range n {
		fmt.Fprintf(&b, "__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=b4d5f19eb0fa4460a1155cdb19fcdcf9\nMESSAGE=entry %d\nPRIORITY=6\nSYSLOG_IDENTIFIER=test\n\n", at+int64(i)*1000, 1000+i, i)
	}
	program := journalRemote(t)
	c := exec.Command(program, "-o", file, "-")
	c.Stdin = strings.NewReader(b.String())
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
}

// TestProcessorsOfTheAgent: what the agent's processors take away counts as skipped, the account has no hole, and ours run there as well as libbeat's.
func TestProcessorsOfTheAgent(t *testing.T) {
	s := rig.NewServer(t, t.TempDir(), "").Start()
	file := filepath.Join(t.TempDir(), "app.log")
	var text strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&text, "%s request %d by someone@example.com\n", []string{"INFO", "DEBUG", "ERROR", "healthz"}[i%4], i)
	}
	write(t, file, text.String())
	rig.NewAgent(t, s.Lumberjack, fmt.Sprintf(`
- type: applog
  paths: [%q]
  processors:
  - drop_event: {when: {regexp: {message: "^healthz"}}}
  - grok: {patterns: ["%%{LOGLEVEL:log.level} request %%{INT:request.number:int}"]}
  - include_event: {when: {not: {equals: {log.level: DEBUG}}}}
  - redact: {fields: [message], presets: [email]}
  - include_fields: {fields: [message, log.level, request, log.file.path, "@metadata"]}
`, file)).Start()
	s.WaitCount("*", 500, time.Minute)
	if n := s.Count(`log.level:=ERROR request.number:>=0 "by [REDACTED]"`); n != 250 {
		t.Errorf("%d events are as the processors make them, want 250", n)
	}
	rig.Eventually(t, 30*time.Second, "a full account", func() bool {
		src := s.Sources(file)
		return len(src) == 1 && fmt.Sprint(src[0].Ranges) == fmt.Sprintf("[[0 %d]]", size(t, file)) && len(src[0].Gaps) == 0
	})
}

func journalRemote(t *testing.T) string {
	t.Helper()
	for _, p := range []string{"/lib/systemd/systemd-journal-remote", "/usr/lib/systemd/systemd-journal-remote"} {
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	t.Fatal("systemd-journal-remote is missing: apt-get install systemd-journal-remote")
	return ""
}
