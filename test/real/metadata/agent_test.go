//go:build kube

package metadata

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/test/real/kube"
	"github.com/tallylog/tally/test/rig"
)

// node is an agent on a node of the cluster, the pods' directories of that node, and what the agent has shipped, in a file.
type node struct {
	t       *testing.T
	name    string
	cluster *kube.Cluster
	dir     string
	config  string
	*rig.Process
}

// newNode prepares the agent. It has the processor three times: for all inputs, and for each of two.
func newNode(t *testing.T, c *kube.Cluster, name string) *node {
	t.Helper()
	n := &node{t: t, name: name, cluster: c, dir: t.TempDir()}
	n.config = filepath.Join(n.dir, "tallybeat.yml")
	k8smeta := fmt.Sprintf("{kube_config: %q, node: %q, include_annotations: [example.org/owner]}", c.Kubeconfig, name)
	text := fmt.Sprintf(`
tallybeat.inputs:
- type: applog
  paths: ["%[1]s/pods/*/volumes/kubernetes.io~empty-dir/applog-*/*.log"]
  processors: [{k8smeta: %[2]s}]
- type: applog
  paths: ["%[1]s/log/pods/*/*/*.log"]
  processors: [{k8smeta: %[2]s}]
processors: [{k8smeta: %[2]s}]
queue.mem: {events: 4096, flush.min_events: 1, flush.timeout: 10ms}
output.file: {path: "%[1]s/out", filename: events}
`, n.dir, k8smeta)
	if err := os.WriteFile(n.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *node) start() {
	n.t.Helper()
	n.Process = rig.Start(n.t, nil, rig.Tallybeat(n.t), "-e", "-c", n.config, "--path.home", filepath.Join(n.dir, "home"), "--strict.perms=false")
}

// line appends a line to the log file of a pod's volume.
func (n *node) line(uid, text string) {
	n.t.Helper()
	n.append(filepath.Join(n.dir, "pods", uid, "volumes/kubernetes.io~empty-dir/applog-5c1f-endname-web/app.log"), text)
}

func (n *node) append(file, text string) {
	n.t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		n.t.Fatal(err)
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		n.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text + "\n"); err != nil {
		n.t.Fatal(err)
	}
}

// event waits for the event whose message is text, and gives its fields under their dotted names.
func (n *node) event(text string) map[string]string {
	n.t.Helper()
	var found map[string]string
	rig.Eventually(n.t, time.Minute, "the line "+text+" is shipped", func() bool {
		files, _ := filepath.Glob(filepath.Join(n.dir, "out", "events*"))
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				n.t.Fatal(err)
			}
			for _, line := range strings.Split(string(b), "\n") {
				var e map[string]any
				if json.Unmarshal([]byte(line), &e) == nil && e["message"] == text {
					found = map[string]string{}
					flatten(found, "", e)
				}
			}
		}
		return found != nil
	})
	return found
}

func flatten(to map[string]string, name string, v any) {
	m, ok := v.(map[string]any)
	if !ok {
		to[name] = fmt.Sprint(v)
		return
	}
	if name != "" {
		name += "."
	}
	for k, v := range m {
		flatten(to, name+k, v)
	}
}

// want fails where a field of the event is not as given; "" stands for absent.
func (n *node) want(text string, fields map[string]string) {
	n.t.Helper()
	e := n.event(text)
	for k, v := range fields {
		if e[k] != v {
			n.t.Errorf("%s: %s is %q, want %q in %v", text, k, e[k], v, e)
		}
	}
}

// until writes lines until one comes that has the field.
func (n *node) until(uid, field, value string) {
	n.t.Helper()
	i := 0
	rig.Eventually(n.t, 2*time.Minute, "a line of "+uid+" has "+field+"="+value, func() bool {
		i++
		text := fmt.Sprintf("until %s %s %d %d", field, value, i, time.Now().UnixNano())
		n.line(uid, text)
		return n.event(text)[field] == value
	})
}

// pod makes a pod on a node and returns its UID. more is JSON that stands among its metadata, with a comma before it.
func pod(t *testing.T, c *kube.Cluster, namespace, name, node, more string) string {
	t.Helper()
	code, answer := c.Do("POST", "/api/v1/namespaces/"+namespace+"/pods", "", fmt.Sprintf(
		`{"apiVersion":"v1","kind":"Pod","metadata":{"name":%q%s},"spec":{"nodeName":%q,"containers":[{"name":"web","image":"web:2"}]}}`, name, more, node))
	var p struct{ Metadata struct{ UID string } }
	if err := json.Unmarshal(answer, &p); err != nil || code != http.StatusCreated {
		t.Fatalf("cannot make the pod %q: %d %s", name, code, answer)
	}
	return p.Metadata.UID
}
