package applog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"gopkg.in/yaml.v3"
)

// templates are the ways from an object to its pod, by its kind.
var templates = map[string][]string{
	"Pod": {}, "PodTemplate": {"template"}, "Deployment": {"spec", "template"}, "StatefulSet": {"spec", "template"}, "DaemonSet": {"spec", "template"},
	"ReplicaSet": {"spec", "template"}, "ReplicationController": {"spec", "template"}, "Job": {"spec", "template"}, "CronJob": {"spec", "jobTemplate", "spec", "template"},
}

// Manifest reads objects of Kubernetes, YAML or JSON, and gives them back as YAML, each pod and pod template with the volumes and mounts
// that s, or its annotations, ask for; those of the object count where the template has none. Comments and the order of keys stay.
// It is an error when nothing asks for any.
func (s Settings) Manifest(in []byte) ([]byte, error) {
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	dirs, objects := 0, 0
	for d := yaml.NewDecoder(bytes.NewReader(in)); ; {
		var doc yaml.Node
		err := d.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read the manifest: %w", err)
		}
		if len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
			continue // nothing between two lines of dashes
		}
		n, err := s.object(doc.Content[0])
		if err != nil {
			return nil, err
		}
		dirs += n
		objects++
		if err := e.Encode(&doc); err != nil {
			return nil, fmt.Errorf("cannot write the manifest: %w", err)
		}
	}
	if objects == 0 {
		return nil, errors.New("the manifest is empty")
	}
	if dirs == 0 {
		return nil, fmt.Errorf("no log directories: the manifest has no pod or pod template with the annotation %s, and no flag names any", DirsAnnotation)
	}
	if err := e.Close(); err != nil {
		return nil, fmt.Errorf("cannot write the manifest: %w", err)
	}
	return out.Bytes(), nil
}

// object treats one object, and tells how many directories were asked for.
func (s Settings) object(n *yaml.Node) (int, error) {
	if n.Kind != yaml.MappingNode {
		return 0, fmt.Errorf("line %d: an object of Kubernetes is wanted", n.Line)
	}
	var o struct {
		Kind     string
		Metadata Metadata
	}
	if err := n.Decode(&o); err != nil {
		return 0, fmt.Errorf("line %d: cannot read the object: %w", n.Line, err)
	}
	if items := value(n, "items"); items != nil && items.Kind == yaml.SequenceNode {
		sum := 0
		for _, item := range items.Content {
			k, err := s.object(item)
			if err != nil {
				return 0, err
			}
			sum += k
		}
		return sum, nil
	}
	way, ok := templates[o.Kind]
	if !ok {
		return 0, nil
	}
	pod := n
	for _, key := range way {
		if pod = own(pod, key); pod == nil || pod.Kind != yaml.MappingNode {
			return 0, fmt.Errorf("line %d: %s %s has no %s", n.Line, o.Kind, o.Metadata.Name, key)
		}
	}
	k, err := s.compose(pod, o.Metadata)
	if err != nil {
		return 0, fmt.Errorf("line %d: %s %s: %w", n.Line, o.Kind, o.Metadata.Name, err)
	}
	return k, nil
}

// compose adds to a pod what it lacks.
func (s Settings) compose(n *yaml.Node, owner Metadata) (int, error) {
	var p Pod
	if err := n.Decode(&p); err != nil {
		return 0, fmt.Errorf("cannot read the pod: %w", err)
	}
	if p.Metadata.Annotations == nil {
		p.Metadata.Annotations = map[string]string{}
	}
	for k, v := range owner.Annotations {
		if _, ok := p.Metadata.Annotations[k]; !ok {
			p.Metadata.Annotations[k] = v
		}
	}
	if owner.Namespace != "" {
		s.Namespace = owner.Namespace
	}
	if s.Workload = owner.Name; s.Workload == "" {
		s.Workload = owner.workload()
	}
	plan, err := s.Plan(p)
	if err != nil || len(plan.Volumes)+len(plan.Mounts) == 0 {
		return plan.Dirs, err
	}
	spec := own(n, "spec")
	for _, v := range plan.Volumes {
		if err := appendTo(spec, "volumes", v); err != nil {
			return 0, err
		}
	}
	containers := own(spec, "containers")
	for _, m := range plan.Mounts {
		c := &containers.Content[m.Container]
		*c = copied(*c)
		if err := appendTo(*c, "volumeMounts", m.Mount); err != nil {
			return 0, err
		}
	}
	return plan.Dirs, nil
}

// value is the value of a key; nil where there is none.
func value(n *yaml.Node, key string) *yaml.Node {
	if i := index(n, key); i >= 0 {
		return n.Content[i]
	}
	return nil
}

func index(n *yaml.Node, key string) int {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return i + 1
		}
	}
	return -1
}

// own is value, after an alias has given way to a copy of what it stands for: that may stand elsewhere too.
func own(n *yaml.Node, key string) *yaml.Node {
	i := index(n, key)
	if i < 0 {
		return nil
	}
	n.Content[i] = copied(n.Content[i])
	return n.Content[i]
}

func copied(n *yaml.Node) *yaml.Node {
	if n.Kind != yaml.AliasNode {
		return n
	}
	c := deep(n.Alias)
	c.Anchor = ""
	return c
}

func deep(n *yaml.Node) *yaml.Node {
	c := *n
	c.Content = slices.Clone(n.Content)
	for i, sub := range c.Content {
		c.Content[i] = deep(sub)
	}
	return &c
}

// appendTo appends an item to a list, which is made where it is missing.
func appendTo(n *yaml.Node, key string, item any) error {
	var node yaml.Node
	if err := node.Encode(item); err != nil {
		return fmt.Errorf("cannot write %s: %w", key, err)
	}
	list := own(n, key)
	if list == nil {
		list = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}, list)
	}
	if list.Kind != yaml.SequenceNode { // volumes: null
		*list = yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	}
	list.Content = append(list.Content, &node)
	if len(list.Content) == 1 {
		list.Style = 0 // [] becomes a list of lines
	}
	return nil
}
