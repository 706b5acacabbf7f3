package pods

import (
	"strconv"
	"time"

	"github.com/tallylog/tally/processors/k8smeta"
)

// Pod is what is kept of a pod. It is not changed once it is in a Store.
type Pod struct {
	UID       string `json:"uid"`
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	Node      string `json:"node,omitempty"`
	IP        string `json:"ip,omitempty"`
	// ConfigHash is the UID by which the node knows a static pod; the API server has another for its mirror.
	ConfigHash  string            `json:"config_hash,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Owner       k8smeta.Owner     `json:"owner,omitzero"`
	Containers  []Container       `json:"containers,omitempty"`
	// Gone is when the pod was found to be deleted; zero while it is there.
	Gone time.Time `json:"gone,omitzero"`
}

// Container is one of a pod's containers, initial and ephemeral ones among them.
type Container struct {
	Name     string `json:"name"`
	Image    string `json:"image,omitempty"`
	ID       string `json:"id,omitempty"`      // of its newest run, without the runtime
	Runtime  string `json:"runtime,omitempty"` // docker, containerd, cri-o
	Restarts int    `json:"restarts,omitempty"`
}

// ContainerOf returns the container that the name or path means, without the id where that is of another run than the newest.
func (p *Pod) ContainerOf(r k8smeta.Ref) (Container, bool) {
	for _, c := range p.Containers {
		if r.ContainerID != "" && c.ID == r.ContainerID {
			return c, true
		}
		if r.Container == "" || c.Name != r.Container {
			continue
		}
		if n, err := strconv.Atoi(r.Attempt); r.ContainerID != "" || err != nil || n != c.Restarts {
			c.ID = r.ContainerID
		}
		return c, true
	}
	return Container{}, false
}

// name identifies a pod among those that exist at one time.
type name struct{ namespace, pod string }

func (p *Pod) name() name { return name{p.Namespace, p.Name} }
