package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/test/rig"
)

// TestJournalbeatTakenOver replaces a Journalbeat 5 that had read more than it had acknowledgements for: first while Logstash is down, then with
// kills at bad moments. The server gets what was waiting and what came after, each once, and its account has no gap.
func TestJournalbeatTakenOver(t *testing.T) {
	t.Parallel()
	s := rig.NewServer(t, t.TempDir(), "").Start()
	n := newJournalNode(t, "journalbeat", "/var/log/journal")
	n.Write("journalbeat.yml", `
journalbeat:
  seek_position: cursor
  cursor_seek_fallback: tail
  write_cursor_state: true
  cursor_state_file: /data/cursor
  cursor_flush_period: 200ms
  pending_queue.file: /data/pending
  clean_field_names: true
  convert_to_numbers: true
  move_metadata_to_field: journal
  journal_paths: ["/var/log/journal"]
processors:
- drop_event.when.not.regexp.journal.container_name: "^.+"
output.logstash.hosts: ["${LOGSTASH_HOST}"]
`)
	n.write(3000)
	cursors := cursorsOf(t, n)
	pending, want := map[string]any{}, map[int]bool{}
	for line := 100; line < 600; line += 7 {
		pending[cursors[line]] = map[string]any{"@timestamp": "2026-01-01T00:00:00.000Z", "message": fmt.Sprintf("line %d of a container", line), "type": "journal"}
		want[line] = true
	}
	const read = 700
	for line := read + 1; line < n.lines; line++ {
		want[line] = true
	}
	text, err := json.Marshal(pending)
	if err != nil {
		t.Fatal(err)
	}
	n.Write("data/pending", string(text))
	n.Write("data/cursor", cursors[read])
	p := n.start("127.0.0.1:1")
	p.Logged("Failed to connect")
	p.Kill()
	if n.text("data/pending") != string(text) || n.text("data/cursor") != cursors[read] {
		t.Error("the state of Journalbeat was changed before anything was acknowledged")
	}
	for _, enough := range []int{1, len(want) / 2} {
		p = n.start(s.Lumberjack)
		s.WaitCount("line", enough, time.Minute)
		p.Kill()
	}
	p = n.start(s.Lumberjack)
	s.WaitCount("line", len(want), time.Minute)
	rig.Eventually(t, time.Minute, "the state is brought up to date", func() bool {
		return n.text("data/pending") == "{}\n" && strings.Contains(n.text("data/cursor"), fmt.Sprintf(";i=%x;", n.n))
	})
	p.Logged("is running")
	if code := p.Stop(); code != 0 {
		t.Errorf("the agent ended with %d", code)
	}
	seen := map[int]int{}
	for _, e := range s.Events("*", "message") {
		seen[number(e["message"])]++
	}
	for line := range n.lines {
		if c := seen[line]; want[line] && c != 1 || !want[line] && c != 0 {
			t.Errorf("line %d is there %d times, want it: %v", line, c, want[line])
		}
	}
	ranges := fmt.Sprintf("[[0 %d]]", n.n+1)
	rig.Eventually(t, time.Minute, "the account is "+ranges, func() bool {
		src := s.Sources("")
		return len(src) == 1 && fmt.Sprint(src[0].Ranges) == ranges && len(src[0].Gaps) == 0 && src[0].Conflicts == 0
	})
}

func (n *journalNode) text(path string) string {
	n.t.Helper()
	b, err := os.ReadFile(n.Path(path))
	if err != nil {
		n.t.Fatal(err)
	}
	return string(b)
}

// cursorsOf asks journalctl(1) for the cursors of the entries of containers.
func cursorsOf(t *testing.T, n *journalNode) (all []string) {
	t.Helper()
	out, err := exec.Command("journalctl", "--file", n.Path(n.journal), "-o", "json", "CONTAINER_ID=123456789012").Output()
	if err != nil {
		t.Fatalf("journalctl: %v", err)
	}
	d := json.NewDecoder(strings.NewReader(string(out)))
	for d.More() {
		var e struct {
			Cursor  string `json:"__CURSOR"`
			Message string `json:"MESSAGE"`
		}
		if err := d.Decode(&e); err != nil {
			t.Fatal(err)
		}
		if number(e.Message) != len(all) {
			t.Fatalf("entry %d is %q", len(all), e.Message)
		}
		all = append(all, e.Cursor)
	}
	if len(all) != n.lines {
		t.Fatalf("%d cursors, want %d", len(all), n.lines)
	}
	return all
}

// TestCatalog: entries with a MESSAGE_ID carry what the machine's message catalog says of them, as Journalbeat 5 had it.
func TestCatalog(t *testing.T) {
	t.Parallel()
	k, n := newLogstash(t), newJournalNode(t, "journalbeat", "/var/log/journal")
	n.Write("journalbeat.yml", "journalbeat: {seek_position: head, clean_field_names: true, move_metadata_to_field: journal}\noutput.logstash.hosts: [\"${LOGSTASH_HOST}\"]\n")
	n.Write("usr/lib/systemd/catalog/test.catalog", "-- f77379a8490b408bbe5f6940505a777b\nSubject: Unit @UNIT@\nDefined-By: test\n\nThe unit @UNIT@ of @NOBODY@ began.\n")
	if out, err := exec.Command("journalctl", "--update-catalog", "--root", n.Root).CombinedOutput(); err != nil {
		t.Fatalf("journalctl: %v\n%s", err, out)
	}
	entry := "__REALTIME_TIMESTAMP=1767225600000000\n__MONOTONIC_TIMESTAMP=1\n_BOOT_ID=b4d5f19eb0fa4460a1155cdb19fcdcf9\nMESSAGE=began\nUNIT=a.service\nMESSAGE_ID="
	n.append(entry + "f77379a8490b408bbe5f6940505a777b\n\n" + entry + "0123456789abcdef0123456789abcdef\n\n" + entry + "none\n\n")
	n.start(k.addr)
	rig.Eventually(t, time.Minute, "events have arrived", func() bool { return len(k.events()) == 3 })
	for i, want := range []any{"Subject: Unit a.service\nDefined-By: test\n\nThe unit a.service of NOBODY began.\n", nil, nil} {
		e := k.events()[i]
		if got := e["journal"].(map[string]any)["catalog_entry"]; got != want || e["message"] != "began" {
			t.Errorf("event %d has the explanation %q, want %q", i, got, want)
		}
		if beat, _ := e["beat"].(map[string]any); e["type"] != "journal" || beat["name"] == nil || beat["hostname"] == nil || beat["version"] == nil {
			t.Errorf("event %v", e)
		}
	}
}
