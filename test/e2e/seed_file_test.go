package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	lumber "github.com/elastic/go-lumber/server/v2"

	"github.com/tallylog/tally/test/rig"
)

// fileNode is the container of the seed's DaemonSet for application logs: it sees the volumes of the node's pods, and keeps nothing.
type fileNode struct {
	*rig.Container
	t       *testing.T
	program string
	n       int // lines written so far
}

func newFileNode(t *testing.T, program string) *fileNode {
	n := &fileNode{Container: rig.NewContainer(t, program), t: t, program: program}
	n.Write("etc/machine-id", machineID+"\n")
	n.Write("filebeat.yml", seed(t, "filebeat.yml"))
	return n
}

func (n *fileNode) start(logstash string) *rig.Process {
	return n.Start([]string{"LOGSTASH_HOST=" + logstash}, "/opt/"+n.program+"/"+n.program, "-c", "/filebeat.yml", "-e")
}

const podLogs = "/k8spods/0f1e2d3c-0001/volumes/kubernetes.io~empty-dir/applog-5b0c-endname-web"

// write appends lines to the log of a pod.
func (n *fileNode) write(count int) {
	n.t.Helper()
	n.Mkdir(podLogs)
	f, err := os.OpenFile(n.Path(podLogs+"/app.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		n.t.Fatal(err)
	}
	defer f.Close()
	for range count {
		if _, err := fmt.Fprintf(f, "line %d of the application\n", n.n); err != nil {
			n.t.Fatal(err)
		}
		n.n++
	}
}

// copied are the events in the files of output.file.
func (n *fileNode) copied() (events []map[string]any) {
	names, _ := filepath.Glob(n.Path("tmp/filebeat/filebeat*"))
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			n.t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var e map[string]any
			if json.Unmarshal([]byte(line), &e) == nil {
				events = append(events, e)
			}
		}
	}
	return events
}

// counts is how often each line is among the events.
func counts(events []map[string]any) map[string]int {
	m := map[string]int{}
	for _, e := range events {
		m[fmt.Sprint(e["message"])]++
	}
	return m
}

// TestSeedFiles runs the seed's file configuration as it is, under both names of the program, with the Logstash side down at the start: the
// file gets every line at once, Logstash when it is there, each of them once, and the events have the fields of Filebeat 5 beside
// those of 7.
func TestSeedFiles(t *testing.T) {
	for _, program := range []string{"filebeat", "tallybeat"} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			n := newFileNode(t, program)
			n.write(200)
			addr := rig.Port(t)
			p := n.start(addr)
			rig.Eventually(t, time.Minute, "the file has the lines", func() bool { return len(n.copied()) >= 200 })
			n.write(100)
			rig.Eventually(t, time.Minute, "the file has the later lines", func() bool { return len(n.copied()) >= 300 })
			k := &logstash{addr: addr}
			k.listen(t)
			rig.Eventually(t, 2*time.Minute, "Logstash has the lines", func() bool { return len(k.events()) >= 300 })
			if code := p.Stop(); code != 0 {
				t.Errorf("the agent ended with %d", code)
			}
			n.write(50)
			p = n.start(addr) // with its registry: only what is new
			rig.Eventually(t, time.Minute, "both have the last lines", func() bool { return len(k.events()) >= 350 && len(n.copied()) >= 350 })
			if code := p.Stop(); code != 0 {
				t.Errorf("the agent ended with %d", code)
			}
			for name, events := range map[string][]map[string]any{"the file": n.copied(), "Logstash": k.events()} {
				for i := range n.n {
					if got := counts(events)[fmt.Sprintf("line %d of the application", i)]; got != 1 {
						t.Fatalf("%s has line %d %d times", name, i, got)
					}
				}
				for _, e := range events {
					checkFile5(t, n, e)
				}
			}
		})
	}
}

// checkFile5 wants the fields of version 5 and those of version 7.
func checkFile5(t *testing.T, n *fileNode, e map[string]any) {
	t.Helper()
	b, _ := e["beat"].(map[string]any)
	agent, _ := e["agent"].(map[string]any)
	log, _ := e["log"].(map[string]any)
	file, _ := log["file"].(map[string]any)
	if e["source"] != podLogs+"/app.log" || e["source"] != file["path"] || e["offset"] == nil || e["offset"] != log["offset"] || e["type"] != "log" || e["input_type"] != "log" ||
		b["name"] == nil || b["hostname"] != agent["hostname"] || b["version"] != agent["version"] || agent["type"] != n.program {
		t.Fatalf("event %v", e)
	}
}

// listen makes k a genuine Lumberjack server at its address.
func (k *logstash) listen(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", k.addr)
	if err != nil {
		t.Fatal(err)
	}
	s, err := lumber.NewWithListener(l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
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
}
