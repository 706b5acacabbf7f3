package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tallylog/tally/test/rig"
)

// half has a genuine Filebeat ship the lines below n of a file, and stops it when its registry has them all.
func half(t *testing.T, s *rig.Server, input, file string, n int) *rig.Agent {
	t.Helper()
	write(t, file, numbered(0, n))
	a := rig.NewFilebeat(t, s.Lumberjack, fmt.Sprintf(input, file)).Start()
	s.WaitCount("line", n, 2*time.Minute)
	noted := fmt.Sprintf(`"offset":%d`, size(t, file))
	rig.Eventually(t, time.Minute, "Filebeat has noted what it has shipped", func() bool {
		text, _ := os.ReadFile(filepath.Join(a.Home, "data/registry/filebeat/log.json"))
		return strings.Contains(string(text), noted)
	})
	if code := a.Stop(); code != 0 {
		t.Fatalf("Filebeat ended with %d", code)
	}
	return a
}

// once wants each of n lines once, and an account of the file that is full.
func once(t *testing.T, s *rig.Server, file string, n int) {
	t.Helper()
	s.WaitCount("line", n, 2*time.Minute)
	if lost, doubled := rig.Tallied(s.Events("line", "message"), n, number); lost != 0 || doubled != 0 {
		t.Errorf("%d lines lost, %d doubled", lost, doubled)
	}
	fullAccount(t, s, file, size(t, file))
}

func fullAccount(t *testing.T, s *rig.Server, file string, end int64) {
	t.Helper()
	want := fmt.Sprintf("[[0 %d]]", end)
	rig.Eventually(t, time.Minute, "the account of "+file+" is "+want, func() bool {
		src := s.Sources(file)
		return len(src) == 1 && fmt.Sprint(src[0].Ranges) == want && len(src[0].Gaps) == 0 && src[0].Conflicts == 0
	})
	// The same as an operator sees it.
	cmd := exec.Command(rig.Tally(t), "sources")
	cmd.Env = append(os.Environ(), "TALLY_URL=http://"+s.HTTP, "TALLY_USER=admin", "TALLY_PASSWORD="+rig.Password)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), file) || strings.Contains(string(out), "missing") {
		t.Errorf("tally sources: %v\n%s", err, out)
	}
}

// TestApplogAfterFilebeat: a genuine Filebeat ships the first half of a file, is stopped, and applog takes over from its registry, in
// another path.data; it is killed while it sends. Each line is there once, and the account has no gap.
func TestApplogAfterFilebeat(t *testing.T) {
	for kind, input := range map[string]string{
		"log":        "- {type: log, paths: [%q], scan_frequency: 1s}\n",
		"filestream": "- {type: filestream, id: f, paths: [%q]}\n",
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			const n = 15_000
			s := rig.NewServer(t, t.TempDir(), "").Start()
			file := filepath.Join(t.TempDir(), "app.log")
			before := half(t, s, input, file, n)
			registry := filepath.Join(before.Home, "data/registry")
			a := rig.NewAgent(t, s.Lumberjack, fmt.Sprintf("- {type: applog, paths: [%q], registry: %q}\n", file, registry)).Start()
			a.Logged("where Filebeat has stopped")
			a.Kill() // nothing was shipped, or little
			write(t, file, numbered(n, 2*n))
			a.Start()
			s.WaitCount("line", n+1, time.Minute)
			a.Kill()
			if err := os.RemoveAll(registry); err != nil { // it has served
				t.Fatal(err)
			}
			a.Start()
			once(t, s, file, 2*n)
			if code := a.Stop(); code != 0 {
				t.Errorf("the agent ended with %d", code)
			}
		})
	}
}

// asFilebeat starts tallybeat under Filebeat's name on the configuration and the state of an agent.
func asFilebeat(t *testing.T, home string) *rig.Process {
	t.Helper()
	program := filepath.Join(t.TempDir(), "filebeat")
	if err := os.Symlink(rig.Tallybeat(t), program); err != nil {
		t.Fatal(err)
	}
	return rig.Start(t, nil, program, "-e", "-c", filepath.Join(home, "filebeat.yml"), "--path.home", home, "--strict.perms=false")
}

// TestFilebeatReplaced: the program is replaced, and nothing else. What the genuine one had shipped is not shipped again and shows no
// gap; no more does what lies before a tail.
func TestFilebeatReplaced(t *testing.T) {
	for kind, input := range map[string]string{
		"log":        "- {type: log, paths: [%q], scan_frequency: 1s}\n",
		"filestream": "- {type: filestream, id: f, paths: [%q]}\n",
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			const n = 3000
			s := rig.NewServer(t, t.TempDir(), "").Start()
			file := filepath.Join(t.TempDir(), "app.log")
			before := half(t, s, input, file, n)
			write(t, file, numbered(n, 2*n))
			p := asFilebeat(t, before.Home)
			once(t, s, file, 2*n)
			p.Kill()
			write(t, file, numbered(2*n, 2*n+10))
			asFilebeat(t, before.Home)
			once(t, s, file, 2*n+10)
		})
	}
	t.Run("tail", func(t *testing.T) {
		t.Parallel()
		s := rig.NewServer(t, t.TempDir(), "").Start()
		file := filepath.Join(t.TempDir(), "app.log")
		write(t, file, strings.Repeat("too old to be shipped\n", 1000))
		home := t.TempDir()
		config := fmt.Sprintf("filebeat.inputs: [{type: log, paths: [%q], tail_files: true, scan_frequency: 1s}]\noutput.logstash.hosts: [%q]\n", file, s.Lumberjack)
		if err := os.WriteFile(filepath.Join(home, "filebeat.yml"), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		asFilebeat(t, home)
		noted := fmt.Sprintf(`"offset":%d`, size(t, file))
		rig.Eventually(t, time.Minute, "the tail is noted", func() bool {
			text, _ := os.ReadFile(filepath.Join(home, "data/registry/filebeat/log.json"))
			return strings.Contains(string(text), noted)
		})
		write(t, file, numbered(0, 100))
		once(t, s, file, 100)
		if got := s.Count(`"too old"`); got != 0 {
			t.Errorf("%d old lines", got)
		}
	})
}

// TestFilebeat5Replaced: the seed's configuration beside a registry of Filebeat 5, in which a file is half read and another one to its
// end.
func TestFilebeat5Replaced(t *testing.T) {
	t.Parallel()
	s := rig.NewServer(t, t.TempDir(), "").Start()
	n := newFileNode(t, "filebeat")
	n.write(400)
	at := size(t, n.Path(podLogs+"/app.log"))
	n.Write(podLogs+"/done.log", "all of it\nwas shipped\n")
	state := func(file string, offset int64) map[string]any {
		var st syscall.Stat_t
		if err := syscall.Stat(n.Path(file), &st); err != nil {
			t.Fatal(err)
		}
		return map[string]any{"source": file, "offset": offset, "timestamp": time.Now(), "ttl": -1, "FileStateOS": map[string]any{"inode": st.Ino, "device": st.Dev}}
	}
	registry, err := json.Marshal([]any{state(podLogs+"/app.log", at), state(podLogs+"/done.log", 22)})
	if err != nil {
		t.Fatal(err)
	}
	n.Write("opt/filebeat/data/registry", string(registry))
	n.write(100)
	p := n.start(s.Lumberjack)
	s.WaitCount("application", 100, time.Minute)
	p.Kill()
	n.write(50)
	n.Write(podLogs+"/new.log", "first\nsecond\n")
	write(t, n.Path(podLogs+"/done.log"), "but this\n")
	p = n.start(s.Lumberjack)
	s.WaitCount("*", 153, time.Minute)
	for _, file := range []string{"app.log", "new.log", "done.log"} {
		fullAccount(t, s, podLogs+"/"+file, size(t, n.Path(podLogs+"/"+file)))
	}
	if got := s.Count("*"); got != 153 {
		t.Errorf("%d events, want 153", got)
	}
	if code := p.Stop(); code != 0 {
		t.Errorf("the agent ended with %d", code)
	}
}
