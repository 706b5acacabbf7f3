package applog

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/tallylog/tally/processors/k8smeta"
)

// operation is one of a JSON patch (RFC 6902).
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// Patch is the JSON patch that gives a pod under admission what it lacks; nil where it lacks nothing. pod is its JSON, namespace the one
// that it will be in.
func Patch(pod []byte, namespace string) ([]byte, error) {
	var p Pod
	if err := json.Unmarshal(pod, &p); err != nil {
		return nil, fmt.Errorf("cannot read the pod: %w", err)
	}
	plan, err := Settings{Namespace: namespace, Workload: p.Metadata.workload()}.Plan(p)
	if err != nil || len(plan.Volumes)+len(plan.Mounts) == 0 {
		return nil, err
	}
	var ops []operation
	add := func(list string, there bool, value any) {
		if !there {
			ops = append(ops, operation{"add", list, []any{value}})
			return
		}
		ops = append(ops, operation{"add", list + "/-", value})
	}
	for i, v := range plan.Volumes {
		add("/spec/volumes", len(p.Spec.Volumes) > 0 || i > 0, v)
	}
	begun := map[int]bool{}
	for _, m := range plan.Mounts {
		there := len(p.Spec.Containers[m.Container].Mounts) > 0 || begun[m.Container]
		add("/spec/containers/"+strconv.Itoa(m.Container)+"/volumeMounts", there, m.Mount)
		begun[m.Container] = true
	}
	return json.Marshal(ops)
}

// workload is the name of what a pod belongs to: a ReplicaSet's Deployment, a Job's CronJob, another controller, or the pod itself.
func (m Metadata) workload() string {
	for _, o := range m.OwnerReferences {
		if !o.Controller {
			continue
		}
		if hash := m.Labels["pod-template-hash"]; o.Kind == k8smeta.ReplicaSet && hash != "" {
			return strings.TrimSuffix(o.Name, "-"+hash)
		}
		if cron := k8smeta.OfJob(o.Name); o.Kind == k8smeta.Job && cron.Name != "" {
			return cron.Name
		}
		return o.Name
	}
	if m.Name != "" {
		return m.Name
	}
	return strings.TrimRight(m.GenerateName, "-")
}
