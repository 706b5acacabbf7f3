//go:build kube

package metadata

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/tallylog/tally/test/real/kube"
)

// leftOut are fields of libbeat's add_kubernetes_metadata that k8smeta has not: they come from watches of nodes and namespaces, which
// would be a second and a third one for every agent.
var leftOut = []string{"kubernetes.namespace_uid", "kubernetes.namespace_labels.", "kubernetes.node.uid", "kubernetes.node.labels.", "kubernetes.node.hostname"}

// For the same pod, k8smeta gives what libbeat's own processor gives, under the same names, so that dashboards find their fields.
func TestParity(t *testing.T) {
	c := kube.Start(t)
	c.Namespace("shop")
	// libbeat asks for the ReplicaSet, to learn of its Deployment.
	code, answer := c.Do("POST", "/apis/apps/v1/namespaces/shop/replicasets", "", `{"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{"name":"web-7d8b49557c",
		"ownerReferences":[{"apiVersion":"apps/v1","kind":"Deployment","name":"web","uid":"9","controller":true}]},
		"spec":{"selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"web","image":"web:2"}]}}}}`)
	if code != http.StatusCreated {
		t.Fatalf("%d %s", code, answer)
	}
	uid := pod(t, c, "shop", "web-7d8b49557c-x2x7k", "n1", strings.Replace(deployment, `"labels":{`, `"labels":{"app.kubernetes.io/part-of":"shop",`, 1))
	code, answer = c.Do("PATCH", "/api/v1/namespaces/shop/pods/web-7d8b49557c-x2x7k/status", "application/merge-patch+json",
		`{"status":{"podIP":"10.1.0.7","podIPs":[{"ip":"10.1.0.7"}]}}`)
	if code != http.StatusOK {
		t.Fatalf("%d %s", code, answer)
	}
	n := newNode(t, c, "n1")
	text := fmt.Sprintf(`
tallybeat.inputs:
- type: applog
  paths: ["%[1]s/pods/*/volumes/kubernetes.io~empty-dir/applog-*/*.log"]
  processors:
  - k8smeta: {kube_config: %[2]q, node: n1, include_annotations: [example.org/owner]}
- type: applog
  paths: ["%[1]s/theirs/*.log"]
  fields: {uid: %[3]q}
  processors:
  - add_kubernetes_metadata:
      kube_config: %[2]q
      host: n1
      include_annotations: [example.org/owner]
      default_indexers.enabled: false
      default_matchers.enabled: false
      indexers: [{pod_uid: ~}]
      matchers: [{fields: {lookup_fields: [fields.uid]}}]
queue.mem: {events: 4096, flush.min_events: 1, flush.timeout: 10ms}
output.file: {path: "%[1]s/out", filename: events}
`, n.dir, c.Kubeconfig, uid)
	if err := os.WriteFile(n.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	n.start()
	n.until(uid, "kubernetes.pod.ip", "10.1.0.7")
	n.line(uid, "ours")
	ours := n.event("ours")
	// Theirs waits for nothing, so it gets lines until it knows the pod.
	var theirs map[string]string
	for i := 0; theirs["kubernetes.pod.ip"] == "" && i < 200; i++ {
		line := fmt.Sprint("theirs ", i)
		n.append(n.dir+"/theirs/app.log", line)
		theirs = n.event(line)
	}
	compared := 0
	for k, v := range theirs {
		skip := !strings.HasPrefix(k, "kubernetes.")
		for _, l := range leftOut {
			skip = skip || strings.HasPrefix(k, l)
		}
		if skip {
			continue
		}
		if compared++; ours[k] != v {
			t.Errorf("%s is %q, from libbeat %q", k, ours[k], v)
		}
	}
	if compared < 10 {
		t.Errorf("only %d fields compared: %v", compared, theirs)
	}
	t.Logf("%d fields alike", compared)
}
