package k8smeta

import (
	"strings"
	"testing"
)

const (
	hash = "7cc96a847ece6fad70a98b9db56bd08d"
	uuid = "6f9e4f80-2f4c-11e7-9c1a-fa163e0a1b2c"
	cid  = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

func TestParseContainerName(t *testing.T) {
	f := func(name string, want Ref) {
		t.Helper()
		if got, ok := ParseContainerName(name); got != want || ok != (want != Ref{}) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	// The seed's own example.
	f("k8s_kube-controller-manager.905f3855_kube-controller-manager-kvm-009660_kube-system_"+hash+"_01130b8b",
		Ref{Container: "kube-controller-manager", Pod: "kube-controller-manager-kvm-009660", Namespace: "kube-system", UID: hash, Attempt: "01130b8b"})
	f("k8s_web_web-7d8b49557c-x2x7k_shop_"+uuid+"_0", Ref{Container: "web", Pod: "web-7d8b49557c-x2x7k", Namespace: "shop", UID: uuid, Attempt: "0"})
	f("/k8s_POD_web-0_shop_"+uuid+"_12", Ref{Container: Sandbox, Pod: "web-0", Namespace: "shop", UID: uuid, Attempt: "12"})
	f("k8s_POD.6059dfa2_p.with.dots_shop_"+uuid+"_a1b2c3d4", Ref{Container: Sandbox, Pod: "p.with.dots", Namespace: "shop", UID: uuid, Attempt: "a1b2c3d4"})
	f("k8s_c_p_n_"+uuid+"_3_0fa1b2c3", Ref{Container: "c", Pod: "p", Namespace: "n", UID: uuid, Attempt: "3"})
	for _, bad := range []string{
		"", "k8s", "k8s_", "redis", "k8s_a_b_c_d", "k8s_a_b_c_" + uuid, "k8s_a_b_c_" + uuid + "_", "k8s_a_b_c_" + uuid + "_x", "k8s__b_c_" + uuid + "_0",
		"k8s_a_b_c_" + uuid + "_0_", "k8s_a_b_c_" + uuid + "_0_1_2", "k8s_a._b_c_" + uuid + "_0", "k8s_A_b_c_" + uuid + "_0", "k8s_a_b_c.d_" + uuid + "_0",
		"k8s_a_-b_c_" + uuid + "_0", "k8s_a_b_c_nouid_0", "k8s_" + strings.Repeat("a", 64) + "_b_c_" + uuid + "_0", "k8s_a_b\n_c_" + uuid + "_0",
	} {
		f(bad, Ref{})
	}
}

func TestParsePath(t *testing.T) {
	f := func(path string, want Ref) {
		t.Helper()
		if got, ok := ParsePath(path); got != want || ok != (want != Ref{}) {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
	}
	volume := Ref{UID: uuid, Volume: "applog-5c1f-0a-endname-web", ServiceID: "5c1f-0a", Title: "web"}
	f("/k8spods/"+uuid+"/volumes/kubernetes.io~empty-dir/applog-5c1f-0a-endname-web/x.log", volume)
	f("/var/lib/kubelet/pods/"+uuid+"/volumes/kubernetes.io~empty-dir/applog-5c1f-0a-endname-web/sub/x.log", volume)
	f("/pods/"+uuid+"/volumes/kubernetes.io~empty-dir/applog-a-endname-b-endname-c/x.log", Ref{UID: uuid, Volume: "applog-a-endname-b-endname-c", ServiceID: "a", Title: "b-endname-c"})
	f("/k8spods/"+hash+"/volumes/kubernetes.io~empty-dir/cache/x.log", Ref{UID: hash, Volume: "cache"})
	f("/k8spods/"+uuid+"/volumes/kubernetes.io~csi/applog-a-endname-b/mount/x.log", Ref{UID: uuid, Volume: "applog-a-endname-b"})
	f("/k8spods/"+uuid+"/volume-subpaths/data/web/0/x.log", Ref{UID: uuid, Volume: "data", Container: "web"})
	// A path inside a pod that looks like one of another pod: the inner one is where the file really lies on a node in a pod.
	f("/k8spods/"+uuid+"/volumes/kubernetes.io~empty-dir/d/pods/"+hash+"/volumes/kubernetes.io~empty-dir/e/x.log", Ref{UID: hash, Volume: "e"})
	f("/var/log/pods/shop_web-0_"+uuid+"/web/3.log", Ref{Namespace: "shop", Pod: "web-0", UID: uuid, Container: "web", Attempt: "3"})
	f("/host/var/log/pods/kube-system_etcd-n1_"+hash+"/etcd/0.log.20240506-070809.gz", Ref{Namespace: "kube-system", Pod: "etcd-n1", UID: hash, Container: "etcd", Attempt: "0"})
	f("/var/log/pods/"+uuid+"/web/0.log", Ref{UID: uuid, Container: "web", Attempt: "0"})
	f("/var/log/pods/"+uuid+"/web_1.log", Ref{UID: uuid, Container: "web", Attempt: "1"})
	f("/var/log/containers/web-7d8b49557c-x2x7k_shop_web-side-"+cid+".log", Ref{Pod: "web-7d8b49557c-x2x7k", Namespace: "shop", Container: "web-side", ContainerID: cid})
	f("/var/lib/docker/containers/"+cid+"/"+cid+"-json.log", Ref{ContainerID: cid})
	f("/var/lib/docker/containers/"+cid+"/"+cid+"-json.log.1", Ref{ContainerID: cid})
	for _, bad := range []string{
		"", "/", "/var/log/syslog", "/var/log/pods", "/var/log/pods/x", "/pods/shop_web_" + uuid + "/web/x.log", "/pods/shop_web_" + uuid + "/web/0.txt",
		"/pods/shop_web/web/0.log", "/k8spods/notauid/volumes/kubernetes.io~empty-dir/v/x.log", "/k8spods/" + uuid + "/volumes/other/v/x.log",
		"/k8spods/" + uuid + "/volumes/kubernetes.io~empty-dir/x.log", "volumes/kubernetes.io~empty-dir/v/x.log", "/var/log/containers/a_b_c.log",
		"/var/log/containers/a_b_c-123.log", "/var/lib/docker/containers/" + cid + "/config.json", strings.Repeat("/pods", 2000),
	} {
		f(bad, Ref{})
	}
}

func TestGuess(t *testing.T) {
	f := func(pod, container, uid, host string, want Owner) {
		t.Helper()
		if got := Guess(Ref{Pod: pod, Container: container, UID: uid}, host); got != want {
			t.Errorf("%s: %+v, want %+v", pod, got, want)
		}
	}
	deployment := func(name, hash string) Owner { return Owner{Kind: Deployment, Name: name, Inner: name + "-" + hash} }
	// Deployments, in all forms of the hash, with dashes in their names.
	f("web-7d8b49557c-x2x7k", "", uuid, "", deployment("web", "7d8b49557c"))
	f("my-web-app-6c8f5d9b4d-zz2q8", "", uuid, "", deployment("my-web-app", "6c8f5d9b4d"))
	f("web-1234567890-0x3k1", "", uuid, "", deployment("web", "1234567890"))
	f("web-2-75675f5897-7ci7o", "", uuid, "", Owner{}) // vowels are in no random part
	f("web-2-75675f5897-7cz7f", "", uuid, "", deployment("web-2", "75675f5897"))
	// CronJobs: minutes, and before 1.21 seconds.
	f("backup-28512345-x2x7k", "", uuid, "", Owner{Kind: CronJob, Name: "backup", Inner: "backup-28512345"})
	f("nightly-backup-1494324000-x2x7k", "", uuid, "", Owner{Kind: CronJob, Name: "nightly-backup", Inner: "nightly-backup-1494324000"})
	f("web-1494324001-x2x7k", "", uuid, "", deployment("web", "1494324001")) // no whole minute
	// StatefulSets.
	f("web-0", "", uuid, "", Owner{Kind: StatefulSet, Name: "web"})
	f("kafka-broker-11", "", uuid, "", Owner{Kind: StatefulSet, Name: "kafka-broker"})
	f("web-007", "", uuid, "", Owner{})
	// DaemonSets, Jobs, bare ReplicaSets look alike.
	f("node-exporter-x2x7k", "", uuid, "", Owner{Name: "node-exporter"})
	f("fluent-bit-zxcvb", "", uuid, "", Owner{Name: "fluent-bit"})
	// Bare pods.
	f("toolbox", "", uuid, "", Owner{})
	f("my-app-redis", "", uuid, "", Owner{})
	f("", "", uuid, "", Owner{})
	// Names that were cut to 58 bytes: with the dash, without it, within the hash.
	long := strings.Repeat("a", 47)
	f(long+"-7d8b49557-x2x7k", "", uuid, "", deployment(long, "7d8b49557"))
	f(long+"-7d8b49557c"+"x2x7k", "", uuid, "", deployment(long, "7d8b49557c"))
	long += "aaaaaaa"
	f(long+"-7d8"+"x2x7k", "", uuid, "", deployment(long, "7d8"))
	// Static pods: the seed's, by the node's name (short or not), or by the container's.
	seed := Owner{Kind: StaticPod, Name: "kube-controller-manager", Node: "kvm-009660"}
	f("kube-controller-manager-kvm-009660", "kube-controller-manager", hash, "", seed)
	f("kube-controller-manager-kvm-009660", "other", hash, "kvm-009660.novalocal", seed)
	f("kube-controller-manager-kvm-009660", "kube", hash, "KVM-009660", seed)
	f("etcd-n1.example.org", "etcd", hash, "n1.example.org", Owner{Kind: StaticPod, Name: "etcd", Node: "n1.example.org"})
	f("etcd-n1", "sidecar", hash, "n2", Owner{Kind: StaticPod})
}

func FuzzParse(f *testing.F) {
	f.Add("k8s_web.905f3855_web-7d8b49557c-x2x7k_shop_"+uuid+"_0", "n1")
	f.Add("/var/log/pods/shop_web-0_"+uuid+"/web/3.log", "")
	f.Add("/k8spods/"+uuid+"/volumes/kubernetes.io~empty-dir/applog-5c1f-0a-endname-web/x.log", "web")
	f.Add("/var/log/containers/web_shop_web-"+cid+".log", "a.b")
	f.Fuzz(func(t *testing.T, s, host string) {
		a, ok := ParseContainerName(s)
		if ok && (a.Namespace == "" || a.Pod == "" || a.UID == "" || a.Container == "") {
			t.Errorf("%q: %+v lacks a part", s, a)
		}
		if !ok && a != (Ref{}) {
			t.Errorf("%q gives %+v, and refuses it", s, a)
		}
		b, ok := ParsePath(s)
		if ok && b.UID == "" && b.ContainerID == "" {
			t.Errorf("%q: %+v names no pod", s, b)
		}
		for _, r := range []Ref{a, b, {Pod: s}, {Pod: s, UID: hash}} {
			o := Guess(r, host)
			if o.Inner != "" && !strings.HasPrefix(r.Pod, o.Inner) || o.Name != "" && !strings.HasPrefix(r.Pod, o.Name) || o.Node != "" && !strings.HasSuffix(r.Pod, o.Node) {
				t.Errorf("%q of %q gives %+v", r.Pod, host, o)
			}
		}
	})
}
