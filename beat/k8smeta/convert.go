package k8smeta

import (
	"strings"

	v1 "k8s.io/api/core/v1"

	names "github.com/tallylog/tally/processors/k8smeta"
	"github.com/tallylog/tally/processors/k8smeta/pods"
)

const (
	configHash   = "kubernetes.io/config.hash"
	templateHash = "pod-template-hash"
)

// convert keeps of a pod what events get. Of its annotations it keeps those that are named.
func convert(p *v1.Pod, annotations map[string]bool) *pods.Pod {
	out := &pods.Pod{
		UID: string(p.UID), Name: p.Name, Namespace: p.Namespace, Node: p.Spec.NodeName, IP: p.Status.PodIP,
		ConfigHash: p.Annotations[configHash], Labels: p.Labels, Owner: owner(p),
	}
	for k, v := range p.Annotations {
		if annotations[k] {
			if out.Annotations == nil {
				out.Annotations = map[string]string{}
			}
			out.Annotations[k] = v
		}
	}
	status := map[string]v1.ContainerStatus{}
	for _, list := range [][]v1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses, p.Status.EphemeralContainerStatuses} {
		for _, s := range list {
			status[s.Name] = s
		}
	}
	add := func(name, image string) {
		s := status[name]
		runtime, id, ok := strings.Cut(s.ContainerID, "://")
		if !ok {
			runtime, id = "", ""
		}
		out.Containers = append(out.Containers, pods.Container{Name: name, Image: image, ID: id, Runtime: runtime, Restarts: int(s.RestartCount)})
	}
	for _, c := range p.Spec.InitContainers {
		add(c.Name, c.Image)
	}
	for _, c := range p.Spec.Containers {
		add(c.Name, c.Image)
	}
	for _, c := range p.Spec.EphemeralContainers {
		add(c.Name, c.Image)
	}
	return out
}

// owner tells the outermost controller. The pod names only the innermost: a ReplicaSet of a Deployment has the Deployment's name and
// the hash that the pod carries as a label; a Job of a CronJob has the CronJob's name and a time.
func owner(p *v1.Pod) names.Owner {
	for _, ref := range p.OwnerReferences {
		if ref.Controller == nil || !*ref.Controller {
			continue
		}
		switch ref.Kind {
		case names.ReplicaSet:
			if hash := p.Labels[templateHash]; hash != "" {
				if name, ok := strings.CutSuffix(ref.Name, "-"+hash); ok {
					return names.Owner{Kind: names.Deployment, Name: name, Inner: ref.Name}
				}
			}
		case names.Job:
			if o := names.OfJob(ref.Name); o.Kind != "" {
				return o
			}
		case "Node":
			return names.Owner{Kind: names.StaticPod, Name: strings.TrimSuffix(p.Name, "-"+p.Spec.NodeName), Node: p.Spec.NodeName}
		}
		return names.Owner{Kind: ref.Kind, Name: ref.Name}
	}
	return names.Owner{}
}
