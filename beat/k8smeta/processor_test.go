package k8smeta

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"

	names "github.com/tallylog/tally/processors/k8smeta"
	"github.com/tallylog/tally/processors/k8smeta/pods"
)

const uid = "6f9e4f80-2f4c-11e7-9c1a-fa163e0a1b2c"

// made is a processor with a store that has these pods; without any there is no watch.
func made(t testing.TB, yaml string, all ...*pods.Pod) (*processor, *pods.Store) {
	t.Helper()
	c, err := common.NewConfigWithYAML([]byte(yaml), "test")
	if err != nil {
		t.Fatal(err)
	}
	s := newShare(make(chan struct{}), make(chan struct{}), nil)
	p, err := s.processor(c)
	if err != nil {
		t.Fatal(err)
	}
	if all == nil {
		return p.(*processor), nil
	}
	store := pods.New(pods.Options{MaxPods: 100, Warn: t.Logf})
	store.Replace(all)
	s.store.Store(store)
	return p.(*processor), store
}

func web() *pods.Pod {
	return &pods.Pod{UID: uid, Name: "web-7d8b49557c-x2x7k", Namespace: "shop", Node: "n1", IP: "10.0.0.7",
		Labels:      map[string]string{"app": "web", "app.kubernetes.io/name": "web", "pod-template-hash": "7d8b49557c", "team": "a"},
		Annotations: map[string]string{"example.org/owner": "me"},
		Owner:       names.Owner{Kind: names.Deployment, Name: "web", Inner: "web-7d8b49557c"},
		Containers:  []pods.Container{{Name: "side", Image: "s:1"}, {Name: "c", Image: "web:2", ID: strings.Repeat("ab", 32), Runtime: "docker", Restarts: 2}}}
}

const journalName = "k8s_c_web-7d8b49557c-x2x7k_shop_" + uid + "_2"

func run(t *testing.T, p *processor, fields common.MapStr) map[string]string {
	t.Helper()
	e, err := p.Run(&beat.Event{Fields: fields})
	if err != nil || e == nil {
		t.Fatal(e, err)
	}
	flat := map[string]string{}
	for k, v := range e.Fields.Flatten() {
		flat[k] = fmt.Sprint(v)
	}
	return flat
}

func TestRun(t *testing.T) {
	f := func(p *processor, fields common.MapStr, want map[string]string) {
		t.Helper()
		if got := run(t, p, fields); !reflect.DeepEqual(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	}
	full := map[string]string{
		"container.name": journalName, "kubernetes.namespace": "shop", "kubernetes.pod.name": "web-7d8b49557c-x2x7k", "kubernetes.pod.uid": uid,
		"kubernetes.pod.ip": "10.0.0.7", "kubernetes.node.name": "n1", "kubernetes.container.name": "c", "kubernetes.deployment.name": "web",
		"kubernetes.replicaset.name": "web-7d8b49557c", "kubernetes.workload.kind": "Deployment", "kubernetes.workload.name": "web",
		"kubernetes.labels.app": "web", "kubernetes.labels.app_kubernetes_io/name": "web", "kubernetes.labels.pod-template-hash": "7d8b49557c", "kubernetes.labels.team": "a",
		"container.image.name": "web:2", "container.runtime": "docker", "container.id": strings.Repeat("ab", 32),
	}
	p, _ := made(t, `{}`, web())
	f(p, common.MapStr{"container": common.MapStr{"name": journalName}}, full)
	f(p, common.MapStr{"message": "x"}, map[string]string{"message": "x"})
	f(p, nil, map[string]string{})
	// An older run of the container: its id is not that of the newest.
	got := run(t, p, common.MapStr{"container": common.MapStr{"name": strings.TrimSuffix(journalName, "2") + "1"}})
	if got["container.id"] != "" || got["container.image.name"] != "web:2" {
		t.Errorf("an older run: %v", got)
	}
	// Labels and annotations by their lists.
	p, _ = made(t, `{include_labels: [team], include_annotations: [example.org/owner]}`, web())
	got = run(t, p, common.MapStr{"container": map[string]any{"name": journalName}})
	if got["kubernetes.labels.team"] != "a" || got["kubernetes.labels.app"] != "" || got["kubernetes.annotations.example_org/owner"] != "me" {
		t.Errorf("chosen labels: %v", got)
	}
	// From the name alone, what is there stays; what the API server says replaces it.
	p, _ = made(t, `{}`)
	f(p, common.MapStr{"journal": common.MapStr{"container_name": journalName}, "kubernetes": common.MapStr{"namespace": "mine"}}, map[string]string{
		"journal.container_name": journalName, "kubernetes.namespace": "mine", "kubernetes.pod.name": "web-7d8b49557c-x2x7k", "kubernetes.pod.uid": uid,
		"kubernetes.container.name": "c", "kubernetes.deployment.name": "web", "kubernetes.replicaset.name": "web-7d8b49557c",
		"kubernetes.workload.kind": "Deployment", "kubernetes.workload.name": "web"})
	p, _ = made(t, `{}`, web())
	got = run(t, p, common.MapStr{"log": common.MapStr{"file": common.MapStr{"path": "/k8spods/" + uid + "/volumes/kubernetes.io~empty-dir/applog-5c-endname-web/x.log"}},
		"kubernetes": common.MapStr{"pod": common.MapStr{"uid": uid}, "namespace": "mine"}})
	if got["kubernetes.namespace"] != "shop" || got["service.id"] != "5c" || got["applog.title"] != "web" || got["kubernetes.labels.app"] != "web" {
		t.Errorf("of a volume: %v", got)
	}
	// What is there may be shared with other events, so it stays as it is.
	shared := common.MapStr{"pod": common.MapStr{"uid": "shared"}}
	run(t, p, common.MapStr{"container": common.MapStr{"name": journalName}, "kubernetes": shared})
	if !reflect.DeepEqual(shared, common.MapStr{"pod": common.MapStr{"uid": "shared"}}) {
		t.Errorf("a shared map became %v", shared)
	}
	// A text where an object would have to be is not touched.
	got = run(t, p, common.MapStr{"container": common.MapStr{"name": journalName}, "kubernetes": "text"})
	if got["kubernetes"] != "text" || got["container.runtime"] != "docker" {
		t.Errorf("beside a text: %v", got)
	}
}

// The maps of one event are not those of another, and a change of the pod reaches the next event.
func TestOwnMaps(t *testing.T) {
	p, store := made(t, `{}`, web())
	event := func() *beat.Event {
		e, _ := p.Run(&beat.Event{Fields: common.MapStr{"container": common.MapStr{"name": journalName}}})
		return e
	}
	a := event()
	for k := range a.Fields.Flatten() {
		if _, err := a.PutValue(k, "spoilt"); err != nil {
			t.Fatal(err)
		}
	}
	if v, _ := event().GetValue("kubernetes.labels.app"); v != "web" {
		t.Errorf("another event has %v", v)
	}
	changed := web()
	changed.Labels = map[string]string{"app": "web", "version": "2"}
	store.Put(changed)
	e := event()
	if v, _ := e.GetValue("kubernetes.labels.version"); v != "2" {
		t.Errorf("after a change: %v", v)
	}
	if _, err := e.GetValue("kubernetes.labels.team"); err == nil {
		t.Error("a label that was taken away is still there")
	}
	store.Delete(uid)
	if v, _ := event().GetValue("kubernetes.labels.version"); v != "2" {
		t.Errorf("after the pod has gone: %v", v)
	}
}

func TestConfig(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		c, err := common.NewConfigWithYAML([]byte(text), "test")
		if err != nil {
			t.Fatal(err)
		}
		_, err = newShare(nil, nil, nil).processor(c)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	f(`{nod: x}`, "unexpected nod option")
	f(`{wait: 2h}`, "wait is between")
	f(`{keep: -1s}`, "keep")
	f(`{max_pods: 0}`, "max_pods")
	s := newShare(make(chan struct{}), make(chan struct{}), nil)
	join := func(text string) error {
		c, err := common.NewConfigWithYAML([]byte(text), "test")
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.processor(c)
		return err
	}
	if err := join(`{node: a}`); err != nil {
		t.Error(err)
	}
	if err := join(`{node: a, include_annotations: [x]}`); err != nil {
		t.Error(err)
	}
	if err := join(`{node: b}`); err == nil || !strings.Contains(err.Error(), "share one watch") {
		t.Errorf("another node: %v", err)
	}
}

func BenchmarkRun(b *testing.B) {
	p, _ := made(b, `{}`, web())
	container := common.MapStr{"name": journalName}
	e := &beat.Event{}
	b.ReportAllocs()
	for b.Loop() {
		container = common.MapStr{"name": journalName}
		e.Fields = common.MapStr{"container": container}
		if _, err := p.Run(e); err != nil {
			b.Fatal(err)
		}
	}
	if v, _ := e.GetValue("kubernetes.labels.app"); v != "web" {
		b.Fatal(e)
	}
}
