package k8smeta

import (
	"testing"

	"github.com/tallylog/tally/processors/processortest"
)

func TestKit(t *testing.T) { processortest.Check(t, "k8smeta", New) }

const seedName = `"k8s_kube-controller-manager.905f3855_kube-controller-manager-kvm-009660_kube-system_7cc96a847ece6fad70a98b9db56bd08d_01130b8b"`

func TestProcess(t *testing.T) {
	f := processortest.Rows(t, New)
	f(`{}`, `{"message":"x"}`, `{"message":"x"}`)
	f(`{}`, `{"container.name":"redis"}`, `{"container.name":"redis"}`)
	// What the seed's journalbeat sends.
	f(`{}`, `{"journal.container_name":`+seedName+`,"journal.hostname":"kvm-009660.novalocal"}`,
		`{"journal.container_name":`+seedName+`,"journal.hostname":"kvm-009660.novalocal","kubernetes.namespace":"kube-system",
		"kubernetes.pod.name":"kube-controller-manager-kvm-009660","kubernetes.pod.uid":"7cc96a847ece6fad70a98b9db56bd08d",
		"kubernetes.container.name":"kube-controller-manager","kubernetes.node.name":"kvm-009660","kubernetes.workload.kind":"StaticPod",
		"kubernetes.workload.name":"kube-controller-manager"}`)
	const path = `"log.file.path":"/k8spods/6f9e4f80-2f4c-11e7-9c1a-fa163e0a1b2c/volumes/kubernetes.io~empty-dir/applog-5c1f-endname-web/x.log"`
	f(`{}`, `{`+path+`}`, `{`+path+`,"kubernetes.pod.uid":"6f9e4f80-2f4c-11e7-9c1a-fa163e0a1b2c","kubernetes.volume.name":"applog-5c1f-endname-web","service.id":"5c1f","applog.title":"web"}`)
	// What is there already stays, a leaf or an object.
	const pod = `"n":"k8s_c_web-7d8b49557c-x2x7k_shop_6f9e4f80-2f4c-11e7-9c1a-fa163e0a1b2c_0"`
	f(`container_name_fields: n`, `{`+pod+`,"kubernetes.namespace":"mine","kubernetes.workload.name.x":"1"}`,
		`{`+pod+`,"kubernetes.namespace":"mine","kubernetes.workload.name.x":"1","kubernetes.pod.name":"web-7d8b49557c-x2x7k","kubernetes.container.name":"c",
		"kubernetes.pod.uid":"6f9e4f80-2f4c-11e7-9c1a-fa163e0a1b2c","kubernetes.deployment.name":"web","kubernetes.replicaset.name":"web-7d8b49557c","kubernetes.workload.kind":"Deployment"}`)
	f("container_name_fields: [n]\nguess_owner: false", `{`+pod+`}`, `{`+pod+`,"kubernetes.namespace":"shop","kubernetes.pod.name":"web-7d8b49557c-x2x7k",
		"kubernetes.container.name":"c","kubernetes.pod.uid":"6f9e4f80-2f4c-11e7-9c1a-fa163e0a1b2c"}`)
}

func TestRefused(t *testing.T) {
	f := processortest.Refused(t, New)
	f(`guess_owner: maybe`, "guess_owner")
	f(`kube_config: /x`, "kube_config")
}

func BenchmarkProcess(b *testing.B) {
	processortest.Bench(b, processortest.Make(b, New, `{}`), `{"message":"m","container.name":"k8s_c_web-7d8b49557c-x2x7k_shop_6f9e4f80-2f4c-11e7-9c1a-fa163e0a1b2c_0"}`)
}

func BenchmarkParseContainerName(b *testing.B) {
	for b.Loop() {
		if _, ok := ParseContainerName("k8s_c_web-7d8b49557c-x2x7k_shop_6f9e4f80-2f4c-11e7-9c1a-fa163e0a1b2c_0"); !ok {
			b.Fatal("refused")
		}
	}
}
