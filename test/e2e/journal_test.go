package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/test/rig"
)

// client runs tally with arguments against the server and returns what it prints.
func client(t *testing.T, s *rig.Server, args ...string) string {
	t.Helper()
	cmd := exec.Command(rig.Tally(t), args...)
	cmd.Env = append(os.Environ(), "TALLY_URL=http://"+s.HTTP, "TALLY_USER=admin", "TALLY_PASSWORD="+rig.Password)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("tally %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// TestVacuumed deletes a journal file with entries that nobody has read: tally sources names the range and why, and tally explain says
// of an entry in one sentence what became of it.
func TestVacuumed(t *testing.T) {
	s := rig.NewServer(t, t.TempDir(), "").Start()
	dir := t.TempDir()
	j := rig.NewJournal(t, dir, "vacuum")
	j.Write(100, 0)
	a := rig.NewAgent(t, s.Lumberjack, fmt.Sprintf("- type: journald\n  paths: [%q]\n", dir)).Start()
	s.WaitCount("vacuum", 100, time.Minute)
	if code := a.Stop(); code != 0 {
		t.Fatalf("the agent ended with %d", code)
	}
	j.Write(50, 0)
	old := j.Rotate()
	j.Write(25, 0)
	if err := os.Remove(old); err != nil {
		t.Fatal(err)
	}
	a.Start()
	s.WaitCount("vacuum", 125, time.Minute)
	var src rig.Source
	rig.Eventually(t, time.Minute, "the account of the journal is whole", func() bool {
		all := s.Sources("")
		for _, one := range all {
			if one.Kind == "journal" {
				src = one
			}
		}
		return fmt.Sprint(src.Ranges) == "[[0 101] [151 176]]" && len(src.Gaps) == 1
	})
	if g := src.Gaps[0]; g.From != 101 || g.To == nil || *g.To != 151 || g.Reason != "vacuumed" || src.Conflicts != 0 {
		t.Errorf("the gap is %+v, conflicts %d", g, src.Conflicts)
	}
	if !strings.HasPrefix(src.Name, "journal of ") {
		t.Errorf("the journal is called %q", src.Name)
	}
	text := client(t, s, "sources")
	if !strings.Contains(text, "vacuumed") || !strings.Contains(text, "101") || !strings.Contains(text, "151") {
		t.Errorf("tally sources prints\n%s", text)
	}
	text = client(t, s, "explain", src.Name, "--position", "120")
	if strings.Count(strings.TrimSpace(text), "\n") != 0 || !strings.Contains(text, "Entry 120 of") || !strings.Contains(text, "deleted before they were read") {
		t.Errorf("tally explain prints %q", text)
	}
}

// TestFilebeatsJournald: under Filebeat's name the input has Filebeat's options and fields. Where reading begins at the tail is in the state
// before anything is shipped, so what comes while the agent is gone is not passed over.
func TestFilebeatsJournald(t *testing.T) {
	s := rig.NewServer(t, t.TempDir(), "").Start()
	n := rig.NewContainer(t, "filebeat")
	n.Write("etc/machine-id", machineID+"\n")
	n.Mkdir("var/log/journal/" + machineID)
	n.Write("filebeat.yml", `
filebeat.inputs:
- type: journald
  id: containers
  paths: ["/var/log/journal"]
  cursor_seek_fallback: tail
  include_matches: ["_SYSTEMD_UNIT=docker.service", "SYSLOG_IDENTIFIER=sudo"]
output.logstash.hosts: ["${LOGSTASH_HOST}"]
`)
	j := rig.NewJournal(t, n.Path("var/log/journal/"+machineID), "node")
	j.Write(20, 0)
	start := func() *rig.Process {
		return n.Start([]string{"LOGSTASH_HOST=" + s.Lumberjack}, "/opt/filebeat/filebeat", "-c", "/filebeat.yml", "-e")
	}
	p := start()
	// The agent tells where it is once that is on disk.
	rig.Eventually(t, 2*time.Minute, "the agent has begun to read", func() bool {
		var ans struct {
			Agents []struct {
				Status struct {
					Inputs []struct{ Sources []struct{ Position int } }
				}
			}
		}
		err := s.Get("/api/v1/agents", nil, &ans)
		return err == nil && len(ans.Agents) == 1 && len(ans.Agents[0].Status.Inputs) == 1 &&
			len(ans.Agents[0].Status.Inputs[0].Sources) == 1 && ans.Agents[0].Status.Inputs[0].Sources[0].Position == 21
	})
	p.Kill()
	j.Write(10, 0)
	p = start()
	p.Logged("filebeat is running")
	s.WaitCount("line", 10, time.Minute)
	if code := p.Stop(); code != 0 {
		t.Errorf("the agent ended with %d", code)
	}
	events := s.Events("line", "")
	if lost, doubled := rig.Tallied(events, 30, func(m string) int { return number(strings.TrimPrefix(m, "node ")) }); lost != 20 || doubled != 0 {
		t.Errorf("%d of 30 lines are not there, want the first 20; %d doubled", lost, doubled)
	}
	for name, want := range map[string]string{
		"input.type": "journald", "agent.type": "filebeat", "host.hostname": "node1", "systemd.unit": "docker.service", "syslog.priority": "6",
		"log.syslog.priority": "6", "container.name": "k8s_web_web-6_default_1-2_0", "journald.host.boot_id": "0123456789abcdef0123456789abcdef", "event.kind": "event",
	} {
		if got := events[0][name]; got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	rig.Eventually(t, time.Minute, "the account is whole", func() bool {
		src := s.Sources("")
		return len(src) == 1 && fmt.Sprint(src[0].Ranges) == "[[0 31]]" && len(src[0].Gaps) == 0 && src[0].Conflicts == 0
	})
}

// TestJournalIdentity: a cloned machine (same machine id and journal, other entries), and an agent that has lost its registry. Nothing is
// lost, nothing is doubled, and what is under one number twice is counted.
func TestJournalIdentity(t *testing.T) {
	s := rig.NewServer(t, t.TempDir(), "").Start()
	dir, clone := t.TempDir(), t.TempDir()
	j := rig.NewJournal(t, dir, "first")
	j.Write(100, 0)
	text, err := os.ReadFile(j.Path)
	if err != nil {
		t.Fatal(err)
	}
	twin := rig.NewJournal(t, clone, "twin")
	if err := os.WriteFile(twin.Path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	j.Write(50, 0)
	twin.Write(40, 0)
	inputs := func(dir string) string { return fmt.Sprintf("- type: journald\n  paths: [%q]\n", dir) }
	rig.NewAgent(t, s.Lumberjack, inputs(dir)).Start()
	s.WaitCount("first", 150, time.Minute)
	rig.NewAgent(t, s.Lumberjack, inputs(clone)).Start()
	s.WaitCount("twin", 40, time.Minute)
	rig.NewAgent(t, s.Lumberjack, inputs(dir)).Start() // without a registry: all of it again
	var src rig.Source
	rig.Eventually(t, time.Minute, "what came again is refused", func() bool {
		for _, one := range s.Sources("") {
			if one.Kind == "journal" {
				src = one
			}
		}
		return src.Duplicates == 250
	})
	if first, twin := s.Count("first"), s.Count("twin"); first != 150 || twin != 40 {
		t.Errorf("%d and %d events are stored, want 150 and 40", first, twin)
	}
	if src.Conflicts != 40 || len(src.Gaps) != 0 {
		t.Errorf("%d conflicts, want 40; gaps %v", src.Conflicts, src.Gaps)
	}
}
