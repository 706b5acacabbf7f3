//go:build kube

package metadata

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tallylog/tally/test/real/kube"
	"github.com/tallylog/tally/test/rig"
)

const (
	deployment = `,"labels":{"app":"web","pod-template-hash":"7d8b49557c"},"annotations":{"example.org/owner":"me","example.org/other":"x"},
		"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web-7d8b49557c","uid":"1","controller":true}]`
	daemonSet = `,"labels":{"app":"agent"},"ownerReferences":[{"apiVersion":"apps/v1","kind":"DaemonSet","name":"agent","uid":"2","controller":true}]`
	job       = `,"ownerReferences":[{"apiVersion":"batch/v1","kind":"Job","name":"backup-28512345","uid":"3","controller":true}]`
)

// Pods come, change and go while lines flow; the API server goes away and comes back; the agent is killed meanwhile.
func TestLife(t *testing.T) {
	c := kube.Start(t)
	c.Namespace("shop")
	before := watches(t, c)
	n := newNode(t, c, "n1")
	n.start()
	n.Logged("tallybeat is running")

	// The very first line of a pod has everything, though the agent may see the line before the pod.
	web := pod(t, c, "shop", "web-7d8b49557c-x2x7k", "n1", deployment)
	n.line(web, "first")
	all := map[string]string{
		"kubernetes.namespace": "shop", "kubernetes.pod.name": "web-7d8b49557c-x2x7k", "kubernetes.pod.uid": web, "kubernetes.node.name": "n1",
		"kubernetes.labels.app": "web", "kubernetes.deployment.name": "web", "kubernetes.replicaset.name": "web-7d8b49557c",
		"kubernetes.workload.kind": "Deployment", "kubernetes.workload.name": "web", "kubernetes.annotations.example_org/owner": "me",
		"kubernetes.annotations.example_org/other": "", "service.id": "5c1f", "applog.title": "web",
	}
	n.want("first", all)
	if got := watches(t, c) - before; got != 1 {
		t.Errorf("three processors have %d watches, want one", got)
	}

	// Other owners, and the path that names the container.
	agent := pod(t, c, "shop", "agent-x2x7k", "n1", daemonSet)
	n.append(n.dir+"/log/pods/shop_agent-x2x7k_"+agent+"/web/0.log", "of the daemon")
	n.want("of the daemon", map[string]string{"kubernetes.daemonset.name": "agent", "kubernetes.container.name": "web", "container.image.name": "web:2", "kubernetes.labels.app": "agent"})
	backup := pod(t, c, "shop", "backup-28512345-x2x7k", "n1", job)
	n.line(backup, "of the job")
	n.want("of the job", map[string]string{"kubernetes.cronjob.name": "backup", "kubernetes.job.name": "backup-28512345"})

	// A pod of another node is not this agent's; the pods that it knows do not wait for it.
	other := pod(t, c, "shop", "elsewhere", "n2", "")
	n.line(other, "of another node")
	n.line(web, "meanwhile")
	n.want("of another node", map[string]string{"kubernetes.pod.uid": other, "kubernetes.pod.name": ""})
	n.want("meanwhile", all)

	// A change.
	code, answer := c.Do("PATCH", "/api/v1/namespaces/shop/pods/web-7d8b49557c-x2x7k", "application/merge-patch+json", `{"metadata":{"labels":{"version":"2"}}}`)
	if code != http.StatusOK {
		t.Fatalf("%d %s", code, answer)
	}
	n.until(web, "kubernetes.labels.version", "2")

	// The pod goes, its lines keep coming.
	remove(t, c, "backup-28512345-x2x7k")
	remove(t, c, "web-7d8b49557c-x2x7k")
	all["kubernetes.labels.version"] = "2"
	n.line(web, "after its end")
	n.want("after its end", all)
	time.Sleep(1500 * time.Millisecond) // the file of pods is written at most once a second

	// The API server goes, and the agent starts anew without it.
	c.StopAPI()
	n.line(web, "without an API server")
	n.want("without an API server", all)
	n.Kill()
	n.start()
	n.line(web, "after a restart")
	n.line(agent, "the daemon after a restart")
	n.want("after a restart", all)
	n.want("the daemon after a restart", map[string]string{"kubernetes.daemonset.name": "agent", "kubernetes.labels.app": "agent"})

	// It comes back: new pods are seen.
	c.StartAPI()
	late := pod(t, c, "shop", "late", "n1", `,"labels":{"app":"late"}`)
	n.until(late, "kubernetes.labels.app", "late")
	if code := n.Stop(); code != 0 {
		t.Errorf("the agent exits with %d", code)
	}
}

// Without an API server at the start lines get what names tell, soon; the rest when it is there. The file is damaged besides.
func TestDownAtStart(t *testing.T) {
	c := kube.Start(t)
	uid := pod(t, c, "default", "web-0", "n1", `,"labels":{"app":"web"}`)
	c.StopAPI()
	n := newNode(t, c, "n1")
	n.append(n.dir+"/home/data/k8smeta.pods", "tally-pods 1 garbage")
	n.start()
	n.append(n.dir+"/log/pods/default_web-0_"+uid+"/web/0.log", "early")
	n.want("early", map[string]string{"kubernetes.namespace": "default", "kubernetes.pod.name": "web-0", "kubernetes.statefulset.name": "web", "kubernetes.labels.app": ""})
	if log := string(n.Log()); !strings.Contains(log, "k8smeta.pods") || !strings.Contains(log, "is discarded: corrupt") || !strings.Contains(log, "cannot be watched") {
		t.Errorf("the log says neither that the file is damaged nor that the API server is away:\n%s", log)
	}
	c.StartAPI()
	n.until(uid, "kubernetes.labels.app", "web")
}

// A thousand pods cost less than 30 MB: the difference between two agents, of which one has a node without pods.
func TestThousandPods(t *testing.T) {
	c := kube.Start(t)
	const many = 1000
	var wg sync.WaitGroup
	uids := make([]string, many)
	for w := range 8 {
		wg.Go(func() {
			for i := w; i < many; i += 8 {
				uids[i] = pod(t, c, "default", fmt.Sprintf("web-7d8b49557c-%05d", i), "full", fmt.Sprintf(
					`,"labels":{"app":"web","app.kubernetes.io/name":"web","app.kubernetes.io/instance":"web-%d","pod-template-hash":"7d8b49557c","team":"a-team"},
					"annotations":{"example.org/owner":"someone","example.org/long":%q},
					"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web-7d8b49557c","uid":"1","controller":true}]`, i, strings.Repeat("x", 2000)))
			}
		})
	}
	wg.Wait()
	peak := func(name, uid, label string) int64 {
		t.Helper()
		n := newNode(t, c, name)
		n.start()
		if label != "" {
			n.until(uid, "kubernetes.labels.app", label)
		} else {
			n.line(uid, "one")
			n.event("one")
		}
		for i := range 2000 { // both have the same work
			n.line(uid, fmt.Sprint("line ", i))
		}
		n.event("line 1999")
		return n.PeakRSS()
	}
	without := peak("empty", "6f9e4f80-2f4c-11e7-9c1a-fa163e0a1b2c", "")
	with := peak("full", uids[many-1], "web")
	t.Logf("%d MB without pods, %d MB with %d", without>>20, with>>20, many)
	if with-without > 30<<20 {
		t.Errorf("%d pods cost %d MB", many, (with-without)>>20)
	}
}

func remove(t *testing.T, c *kube.Cluster, name string) {
	t.Helper()
	path := "/api/v1/namespaces/shop/pods/" + name
	if code, answer := c.Do("DELETE", path+"?gracePeriodSeconds=0", "", nil); code != http.StatusOK {
		t.Fatalf("cannot delete %s: %d %s", name, code, answer)
	}
	rig.Eventually(t, time.Minute, name+" has gone", func() bool {
		code, _ := c.Do("GET", path, "", nil)
		return code == http.StatusNotFound
	})
}

// watches is how many watches of pods there are, as the API server counts them.
func watches(t *testing.T, c *kube.Cluster) int {
	t.Helper()
	_, text := c.Do("GET", "/metrics", "", nil)
	sum := 0
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		line := lines.Text()
		if !strings.HasPrefix(line, "apiserver_longrunning_requests{") || !strings.Contains(line, `resource="pods"`) || !strings.Contains(line, `verb="WATCH"`) {
			continue
		}
		n, err := strconv.Atoi(line[strings.LastIndexByte(line, ' ')+1:])
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}
