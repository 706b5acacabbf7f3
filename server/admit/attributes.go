package admit

import (
	"encoding/json"

	"github.com/tallylog/tally/event"
)

// maxAttribute bounds each attribute in bytes.
const maxAttribute = 256

// Attributes say where a source is. They are taken from its first event, and empty where that did not say.
type Attributes struct {
	Host      string `json:"host,omitempty"`
	Cluster   string `json:"cluster,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Pod       string `json:"pod,omitempty"`
	PodUID    string `json:"pod_uid,omitempty"`
}

// AttributesOf reads the attributes of a source from one of its events. A journal has lines of many pods, so it has none of
// theirs.
func AttributesOf(e *event.Event, source string) Attributes {
	get := func(name string) string {
		v, _ := e.Get(name)
		return v[:min(len(v), maxAttribute)]
	}
	a := Attributes{Host: get("host.name"), Cluster: get("orchestrator.cluster.name")}
	if kind(source) != "journal" {
		a.Namespace, a.Pod, a.PodUID = get("kubernetes.namespace"), get("kubernetes.pod.name"), get("kubernetes.pod.uid")
	}
	return a
}

// Text is the form in a note; empty without any attribute.
func (a Attributes) Text() string {
	if a == (Attributes{}) {
		return ""
	}
	b, err := json.Marshal(a)
	if err != nil {
		return "" // a struct of strings can always be encoded
	}
	return string(b)
}
