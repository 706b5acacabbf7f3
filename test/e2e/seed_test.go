package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	lumber "github.com/elastic/go-lumber/server/v2"

	"github.com/tallylog/tally/test/rig"
)

// TestSeedUntouched: the configurations of testdata/seed are those that the requirement came with. Nobody may edit them.
func TestSeedUntouched(t *testing.T) {
	for name, want := range map[string]string{
		"journalbeat.yml": "73d1099f108f1cae205e757e93593a80a59287d5a087f1e883cc504cf90d3ea2",
		"filebeat.yml":    "3012d1d648be8477f00abb5fd0d7d1b8c07e95a236a45508d5a8796857230398",
	} {
		sum := sha256.Sum256([]byte(seed(t, name)))
		if got := hex.EncodeToString(sum[:]); got != want {
			t.Errorf("%s has the hash %s, want %s", name, got, want)
		}
	}
}

func seed(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "seed", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const machineID = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"

// journalNode is the container of the seed's journal DaemonSet: it sees the node's journals and machine-id, and keeps nothing but /data.
type journalNode struct {
	*rig.Container
	t       *testing.T
	program string
	journal string // its file, in the container
	n       int    // entries written so far
	lines   int    // of them, of containers
}

// newJournalNode: root is where journald keeps its files, /var/log/journal or /run/log/journal.
func newJournalNode(t *testing.T, program, root string) *journalNode {
	n := &journalNode{Container: rig.NewContainer(t, program), t: t, program: program, journal: root + "/" + machineID + "/system.journal"}
	n.Write("etc/machine-id", machineID+"\n")
	n.Write("journalbeat.yml", seed(t, "journalbeat.yml"))
	for _, dir := range []string{"data", "run/log/journal", "var/log/journal", filepath.Dir(n.journal)} {
		n.Mkdir(dir)
	}
	return n
}

func (n *journalNode) start(logstash string) *rig.Process {
	return n.Start([]string{"LOGSTASH_HOST=" + logstash}, "/opt/"+n.program+"/"+n.program, "-c", "/journalbeat.yml", "-e")
}

// recreate takes away what a pod loses when it is created again.
func (n *journalNode) recreate() {
	n.t.Helper()
	for _, dir := range []string{"data", "logs"} {
		if err := os.RemoveAll(n.Path("opt/" + n.program + "/" + dir)); err != nil {
			n.t.Fatal(err)
		}
	}
}

// write appends entries to the journal; every third is of a container, with the message "line N ".
func (n *journalNode) write(count int) {
	n.t.Helper()
	var b strings.Builder
	for range count {
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro() + int64(n.n)*1000
		fmt.Fprintf(&b, "__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=b4d5f19eb0fa4460a1155cdb19fcdcf9\n_HOSTNAME=node1\n", at, 1000*(n.n+1))
		if n.n++; n.n%3 == 0 {
			fmt.Fprintf(&b, "MESSAGE=line %d of a container\nCONTAINER_NAME=k8s_web.1a2b_web-1_default_0001_0\nCONTAINER_ID=123456789012\nCONTAINER_ID_FULL=12345678901234567890\nPRIORITY=6\n\n", n.lines)
			n.lines++
		} else {
			fmt.Fprintf(&b, "MESSAGE=entry %d of the system\nSYSLOG_IDENTIFIER=systemd\nPRIORITY=6\n\n", n.n)
		}
	}
	n.append(b.String())
}

// append writes entries in the journal's export format.
func (n *journalNode) append(entries string) {
	n.t.Helper()
	c := exec.Command(journalRemote(n.t), "-o", n.Path(n.journal), "-")
	c.Stdin = strings.NewReader(entries)
	if out, err := c.CombinedOutput(); err != nil {
		n.t.Fatalf("cannot write the journal: %v\n%s", err, out)
	}
}

// atEnd waits until the cursor file is at the last entry.
func (n *journalNode) atEnd() {
	n.t.Helper()
	rig.Eventually(n.t, time.Minute, "the cursor file is at the last entry", func() bool {
		text, err := os.ReadFile(n.Path("data/journalbeat-cursor-state"))
		return err == nil && strings.Contains(string(text), fmt.Sprintf(";i=%x;", n.n)) && strings.HasPrefix(string(text), "s=")
	})
}

// logstash is a genuine Lumberjack server that keeps what it has acknowledged.
type logstash struct {
	addr string
	mu   sync.Mutex
	all  []map[string]any
}

func newLogstash(t *testing.T) *logstash {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := lumber.NewWithListener(l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	k := &logstash{addr: l.Addr().String()}
	go func() {
		for b := range s.ReceiveChan() {
			k.mu.Lock()
			for _, e := range b.Events {
				m, _ := e.(map[string]any)
				k.all = append(k.all, m)
			}
			k.mu.Unlock()
			b.ACK()
		}
	}()
	return k
}

func (k *logstash) events() []map[string]any {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.all)
}

// TestSeedJournal runs the seed's journal configuration as it is, under both names of the program, with a journal on disk and one in memory: the tail of the journal is where it begins,
// entries of containers arrive with the fields that are included and no others, and a genuine Lumberjack server gets each of them
// once, over a kill and with no state but the cursor file.
func TestSeedJournal(t *testing.T) {
	t.Parallel()
	for program, root := range map[string]string{"journalbeat": "/var/log/journal", "tallybeat": "/run/log/journal"} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			k, n := newLogstash(t), newJournalNode(t, program, root)
			n.write(30)
			p := n.start(k.addr)
			n.atEnd() // before there is any event
			first := n.lines
			p.Kill()
			n.recreate()
			n.write(300)
			p = n.start(k.addr)
			rig.Eventually(t, time.Minute, "the entries of containers have arrived", func() bool { return len(k.events()) >= n.lines-first })
			n.atEnd()
			p.Kill()
			n.recreate()
			n.write(30)
			p = n.start(k.addr)
			rig.Eventually(t, time.Minute, "the later entries have arrived", func() bool { return len(k.events()) >= n.lines-first })
			n.atEnd()
			if code := p.Stop(); code != 0 {
				t.Errorf("the agent ended with %d", code)
			}
			if left, _ := filepath.Glob(n.Path("data/.*")); len(left) > 0 {
				t.Errorf("left in /data: %v", left)
			}
			for i, e := range k.events() {
				if want := fmt.Sprintf("line %d of a container", first+i); e["message"] != want {
					t.Fatalf("event %d is %v, want %s", i, e["message"], want)
				}
				checkSeedEvent(t, e)
			}
			if got := len(k.events()); got != n.lines-first {
				t.Errorf("%d events, want %d", got, n.lines-first)
			}
		})
	}
}

// checkSeedEvent wants the fields of the seed's include_fields, and type, which libbeat always includes.
func checkSeedEvent(t *testing.T, e map[string]any) {
	t.Helper()
	journal, _ := e["journal"].(map[string]any)
	if got := fmt.Sprint(slices.Sorted(maps.Keys(e)), slices.Sorted(maps.Keys(journal))); got !=
		"[@metadata @timestamp journal message type] [container_id container_name hostname realtime_timestamp]" {
		t.Fatalf("the event has the fields %s", got)
	}
	at, ok := journal["realtime_timestamp"].(float64)
	if !ok || journal["container_id"] != "123456789012" || journal["hostname"] != "node1" || e["type"] != "journal" ||
		e["@timestamp"] != time.UnixMicro(int64(at)).UTC().Format("2006-01-02T15:04:05.000Z") {
		t.Fatalf("event %v", e)
	}
	meta, _ := e["@metadata"].(map[string]any)
	tally, _ := meta["tally"].(map[string]any)
	if tally["source"] == nil || tally["from"] == nil || meta["beat"] == nil || meta["version"] == nil {
		t.Fatalf("metadata %v", meta)
	}
}

// TestSeedMetadataOnce looks at the bytes of the wire, where a decoder would not show a key that comes twice.
func TestSeedMetadataOnce(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var texts []string
	decode := func(b []byte, v any) error {
		mu.Lock()
		texts = append(texts, string(b))
		mu.Unlock()
		return json.Unmarshal(b, v)
	}
	s, err := lumber.NewWithListener(l, lumber.JSONDecoder(decode))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	go func() {
		for b := range s.ReceiveChan() {
			b.ACK()
		}
	}()
	n := newJournalNode(t, "journalbeat", "/var/log/journal")
	n.write(3)
	n.start(l.Addr().String())
	n.atEnd()
	n.write(30)
	rig.Eventually(t, time.Minute, "events have arrived", func() bool { mu.Lock(); defer mu.Unlock(); return len(texts) >= 10 })
	for _, text := range texts {
		if strings.Count(text, `"@metadata":`) != 1 || strings.Count(text, `"@timestamp":`) != 1 {
			t.Fatalf("on the wire: %s", text)
		}
	}
}

// TestSeedJournalKilled kills the agent again and again while entries are written, and lets it lose its own registry, as the pods of the
// seed's DaemonSet do: the server has every entry once, and its account is complete.
func TestSeedJournalKilled(t *testing.T) {
	t.Parallel()
	s := rig.NewServer(t, t.TempDir(), "").Start()
	n := newJournalNode(t, "journalbeat", "/var/log/journal")
	n.write(300)
	first := n.lines
	p := n.start(s.Lumberjack)
	n.atEnd()
	for round := range 6 {
		n.write(1500)
		// Now and then in the middle of it.
		s.WaitCount("line", n.lines-first-1500/3*(round%3)/3, time.Minute)
		p.Kill()
		if round%2 == 0 {
			n.recreate()
		}
		n.write(300)
		p = n.start(s.Lumberjack)
	}
	s.WaitCount("line", n.lines-first, time.Minute)
	n.atEnd()
	total := n.lines
	if lost, doubled := rig.Tallied(s.Events("*", "message"), total, number); lost != first || doubled != 0 {
		t.Errorf("%d lost, want the %d from before the start; %d doubled", lost, first, doubled)
	}
	if got := s.Count("*"); got != total-first {
		t.Errorf("%d events, want %d: those of containers", got, total-first)
	}
	want := fmt.Sprintf("[[0 %d]]", n.n+1)
	complete := func() bool {
		src := s.Sources("")
		return len(src) == 1 && fmt.Sprint(src[0].Ranges) == want && len(src[0].Gaps) == 0 && src[0].Conflicts == 0
	}
	defer func() {
		if t.Failed() {
			t.Logf("accounts: %+v, want %s", s.Sources(""), want)
		}
	}()
	rig.Eventually(t, time.Minute, "the account of the journal is complete", complete)
	if code := p.Stop(); code != 0 {
		t.Errorf("the agent ended with %d", code)
	}
}

// TestSeedUnreadableCursor ends the start with an error about the state, and leaves it alone.
func TestSeedUnreadableCursor(t *testing.T) {
	t.Parallel()
	n := newJournalNode(t, "journalbeat", "/var/log/journal")
	n.Write("data/journalbeat-cursor-state", "no cursor")
	p := n.start("127.0.0.1:1")
	if code := p.Wait(time.Minute); code != 1 || !strings.Contains(string(p.Log()), `cannot use the cursor state file "/data/journalbeat-cursor-state"`) ||
		!strings.Contains(string(p.Log()), "at /journalbeat.yml:8: journalbeat.cursor_state_file") {
		t.Errorf("exit %d:\n%s", code, p.Log())
	}
	if b, err := os.ReadFile(n.Path("data/journalbeat-cursor-state")); err != nil || string(b) != "no cursor" {
		t.Errorf("the state is %q (%v)", b, err)
	}
}
