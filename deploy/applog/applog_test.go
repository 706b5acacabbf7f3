package applog

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/tallylog/tally/processors/k8smeta"
)

var update = flag.Bool("update", false, "write the golden file anew")

const service = "6f9e4f80-2f4c-11e7-9c1a-fa163e0a1b2c"

func TestCompose(t *testing.T) {
	volumes, mounts, err := Compose(service, []Dir{{"web", "/var/log/web"}, {"audit", "/var/log//audit/"}})
	if err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal([]any{volumes, mounts})
	want := `[[{"name":"applog-` + service + `-endname-web","emptyDir":{}},{"name":"applog-` + service + `-endname-audit","emptyDir":{}}],` +
		`[{"name":"applog-` + service + `-endname-web","mountPath":"/var/log/web"},{"name":"applog-` + service + `-endname-audit","mountPath":"/var/log/audit"}]]`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	if v, m, err := Compose(service, nil); len(v) != 0 || len(m) != 0 || err != nil {
		t.Errorf("of nothing: %v %v %v", v, m, err)
	}
	// What was composed is what the agent reads.
	r, ok := k8smeta.ParsePath("/k8spods/" + service + "/volumes/kubernetes.io~empty-dir/" + volumes[0].Name + "/x.log")
	if !ok || r.ServiceID != service || r.Title != "web" {
		t.Errorf("the agent reads %+v", r)
	}
}

func TestComposeRefuses(t *testing.T) {
	f := func(service string, want string, dirs ...Dir) {
		t.Helper()
		if _, _, err := Compose(service, dirs); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %s", dirs, err, want)
		}
	}
	f(service, `the title "elevenchars1" is 1 characters too long: the volume's name applog-`+service+`-endname-elevenchars1 may have 63, which leaves 11`, Dir{"elevenchars1", "/x"})
	f(service, "other characters", Dir{"Web", "/x"})
	f(service, "other characters", Dir{"w_b", "/x"})
	f(service, "other characters", Dir{"", "/x"})
	f(service, "other characters", Dir{"a-", "/x"})
	f("", "service UUID", Dir{"a", "/x"})
	f("S", "service UUID", Dir{"a", "/x"})
	f("a-endname", "which parts it", Dir{"a", "/x"})
	f(service, "the title is taken", Dir{"a", "/x"}, Dir{"a", "/y"})
	f(service, "the path is that of a", Dir{"a", "/x"}, Dir{"b", "/x/"})
	f(service, "not absolute", Dir{"a", "var/log"})
	f(service, "not absolute", Dir{"a", ""})
	f(service, "upwards", Dir{"a", "/var/../etc"})
	f(service, "root", Dir{"a", "//."})
	f(service, "colon", Dir{"a", "/a:b"})
	f(service, "at most", Dir{"a", "/" + strings.Repeat("x", 2000)})
	f(service, "too many", make([]Dir, 33)...)
	if _, _, err := Compose(service, []Dir{{"elevenchars", "/x"}}); err != nil {
		t.Errorf("a title that just fits: %v", err)
	}
}

func TestManifest(t *testing.T) {
	in, err := os.ReadFile("testdata/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Settings{Namespace: "default"}.Manifest(in)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("testdata/composed.yaml", got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/composed.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	again, err := Settings{Namespace: "default"}.Manifest(got)
	if err != nil || string(again) != string(want) {
		t.Errorf("composed twice: %v\n%s", err, again)
	}
}

func TestManifestShapes(t *testing.T) {
	const pod = `{containers: [{name: a, image: i}, {name: b, image: i}]}`
	s := Settings{Service: "s", Dirs: []Dir{{"t", "/l"}}, Namespace: "n"}
	f := func(s Settings, in, want string) {
		t.Helper()
		got, err := s.Manifest([]byte(in))
		text := strings.Join(strings.Fields(string(got)), " ")
		if err != nil {
			text = "error: " + err.Error()
		}
		if !strings.Contains(text, want) {
			t.Errorf("%s\nbecomes %s\nwant    %s", in, text, want)
		}
	}
	done := "volumes: - name: applog-s-endname-t emptyDir: {}"
	for _, in := range []string{
		`{kind: Pod, metadata: {name: p}, spec: ` + pod + `}`, `{kind: PodTemplate, template: {spec: ` + pod + `}}`,
		`{kind: DaemonSet, spec: {template: {spec: ` + pod + `}}}`, `{kind: CronJob, spec: {jobTemplate: {spec: {template: {spec: ` + pod + `}}}}}`,
		`{kind: List, items: [{kind: Service}, {kind: StatefulSet, spec: {template: {spec: ` + pod + `}}}]}`,
		"kind: Service\n---\nkind: Job\nspec: {template: {spec: " + pod + "}}\n---\n",
		`{"kind": "Pod", "spec": {"volumes": null, "containers": [{"name": "a", "volumeMounts": []}]}}`,
	} {
		text := strings.NewReplacer("{", "", "}", "", "[", "", "]", "", `"`, "", ",", "").Replace
		got, err := s.Manifest([]byte(in))
		flat := text(strings.Join(strings.Fields(string(got)), " "))
		if err != nil || !strings.Contains(flat, "applog-s-endname-t emptyDir:") || strings.Count(flat, "mountPath: /l") != 1 {
			t.Errorf("%s\nbecomes %v %s", in, err, got)
		}
	}
	f(Settings{Service: "s", Dirs: s.Dirs, Containers: []string{"b"}}, "kind: Pod\nspec:\n  containers:\n  - name: a\n  - name: b\n",
		"containers: - name: a - name: b volumeMounts: - name: applog-s-endname-t mountPath: /l "+done)
	f(s, "kind: Service\n", "error: no log directories")
	f(Settings{}, `{kind: Pod, spec: `+pod+`}`, "error: no log directories")
	f(s, "", "error: the manifest is empty")
	f(s, "- a\n", "error: line 1: an object of Kubernetes is wanted")
	f(s, "a: b: c\n", "error: cannot read the manifest")
	f(s, "kind: Deployment\nmetadata: {name: d}\n", "error: line 1: Deployment d has no spec")
	f(s, "kind: Pod\nspec: {containers: []}\n", "has no containers")
	f(Settings{Service: "s", Dirs: s.Dirs, Containers: []string{"z"}}, `{kind: Pod, spec: `+pod+`}`, `has no container "z"`)
	f(s, `{kind: Pod, metadata: {name: p}, spec: {containers: [{name: a, volumeMounts: [{name: other, mountPath: /l/}]}]}}`, "container a has the volume other at /l already")
	f(s, `{kind: Pod, spec: {volumes: [{name: applog-s-endname-t, hostPath: {path: /}}], containers: [{name: a}]}}`, "is no emptyDir")
	f(Settings{}, `{kind: Pod, metadata: {annotations: {tallylog/applog: "x"}}, spec: `+pod+`}`, `annotation tallylog/applog: "x" is no log directory`)
	// An anchor's other users are left alone.
	f(s, "kind: Pod\nx: &v [{name: v, hostPath: {path: /v}}]\nspec: {volumes: *v, containers: [{name: a}]}\n", "x: &v [{name: v, hostPath: {path: /v}}]")
}

func TestPatch(t *testing.T) {
	f := func(pod, want string) {
		t.Helper()
		got, err := Patch([]byte(pod), "shop")
		if err != nil {
			got = []byte("error: " + err.Error())
		}
		if string(got) != want && (err == nil || !strings.Contains(string(got), want)) {
			t.Errorf("%s\n got %s\nwant %s", pod, got, want)
		}
	}
	const notes = `"metadata":{"annotations":{"tallylog/applog":"a=/a,b=/b","tallylog/service-uuid":"s"}}`
	v := func(title string) string { return `{"name":"applog-s-endname-` + title + `","emptyDir":{}}` }
	m := func(title string) string {
		return `{"name":"applog-s-endname-` + title + `","mountPath":"/` + title + `"}`
	}
	f(`{`+notes+`,"spec":{"containers":[{"name":"c"}]}}`, `[{"op":"add","path":"/spec/volumes","value":[`+v("a")+`]},{"op":"add","path":"/spec/volumes/-","value":`+v("b")+`},`+
		`{"op":"add","path":"/spec/containers/0/volumeMounts","value":[`+m("a")+`]},{"op":"add","path":"/spec/containers/0/volumeMounts/-","value":`+m("b")+`}]`)
	f(`{`+notes+`,"spec":{"volumes":[`+v("a")+`,`+v("b")+`],"containers":[{"name":"c","volumeMounts":[`+m("b")+`,`+m("a")+`]}]}}`, ``)
	f(`{`+notes+`,"spec":{"volumes":[`+v("b")+`],"containers":[{"name":"c","volumeMounts":[`+m("b")+`]}]}}`,
		`[{"op":"add","path":"/spec/volumes/-","value":`+v("a")+`},{"op":"add","path":"/spec/containers/0/volumeMounts/-","value":`+m("a")+`}]`)
	f(`{"metadata":{},"spec":{"containers":[{"name":"c"}]}}`, ``)
	f(`{"metadata":{"name":"p","annotations":{"tallylog/applog":"a=b"}},"spec":{"containers":[{"name":"c"}]}}`, "not absolute")
	f(`[]`, "cannot read the pod")
}

// A service without a UUID gets one that all pods of its workload share, whether a manifest or a pod is composed.
func TestServiceOf(t *testing.T) {
	want := fmt.Sprintf("applog-%s-endname-a", ServiceOf("shop", "web"))
	if len(want) > 40 {
		t.Errorf("%s leaves little room for a title", want)
	}
	f := func(metadata string) {
		t.Helper()
		got, err := Patch([]byte(`{"metadata":{"annotations":{"tallylog/applog":"a=/a"},`+metadata+`},"spec":{"containers":[{"name":"c"}]}}`), "shop")
		if err != nil || !strings.Contains(string(got), want) {
			t.Errorf("%s: %v %s", metadata, err, got)
		}
	}
	f(`"name":"web"`)
	f(`"generateName":"web-"`)
	f(`"generateName":"web-7d8b49557c-","labels":{"pod-template-hash":"7d8b49557c"},"ownerReferences":[{"kind":"ReplicaSet","name":"web-7d8b49557c","controller":true}]`)
	f(`"name":"web-0","ownerReferences":[{"kind":"X","name":"no"},{"kind":"StatefulSet","name":"web","controller":true}]`)
	f(`"name":"web-28512345-x2x7k","ownerReferences":[{"kind":"Job","name":"web-28512345","controller":true}]`)
	got, err := Settings{Namespace: "shop", Dirs: []Dir{{"a", "/a"}}}.Manifest([]byte("kind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {containers: [{name: c}]}}}\n"))
	if err != nil || !strings.Contains(string(got), want) {
		t.Errorf("%v %s", err, got)
	}
}

func FuzzPatch(f *testing.F) {
	f.Add([]byte(`{"metadata":{"annotations":{"tallylog/applog":"a=/a,b=/b","tallylog/service-uuid":"s"}},"spec":{"containers":[{"name":"c"}]}}`))
	f.Add([]byte(`{"spec":{"volumes":[{"name":"x"}]}}`))
	f.Fuzz(func(t *testing.T, pod []byte) {
		patch, err := Patch(pod, "n")
		var ops []operation
		if err == nil && patch != nil && (json.Unmarshal(patch, &ops) != nil || len(ops) == 0) {
			t.Errorf("%q gives %q", pod, patch)
		}
	})
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte("kind: Pod\nx: &v [{name: v}]\nspec: {volumes: *v, containers: [{name: a}]}\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		s := Settings{Service: "s", Dirs: []Dir{{"t", "/l"}}}
		once, err := s.Manifest(in)
		if err != nil {
			return
		}
		twice, err := s.Manifest(once)
		if err != nil || !reflect.DeepEqual(once, twice) {
			t.Errorf("%q\nbecomes %q\nthen    %q %v", in, once, twice, err)
		}
	})
}
