package applog

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"
)

// The annotations of a pod, or of a pod template, that say what is wanted.
const (
	// DirsAnnotation holds the directories: title=path, parted by commas or line ends.
	DirsAnnotation = "tallylog/applog"
	// ServiceAnnotation holds the service's UUID.
	ServiceAnnotation = "tallylog/service-uuid"
	// ContainersAnnotation holds the names of the containers that get the mounts, parted by commas.
	ContainersAnnotation = "tallylog/applog-containers"
	// defaultContainer is what kubectl takes for a pod's main container.
	defaultContainer = "kubectl.kubernetes.io/default-container"
)

// Pod is a pod or a pod template, as far as this package looks.
type Pod struct {
	Metadata Metadata `json:"metadata" yaml:"metadata"`
	Spec     struct {
		Volumes    []Volume    `json:"volumes" yaml:"volumes"`
		Containers []Container `json:"containers" yaml:"containers"`
	} `json:"spec" yaml:"spec"`
}

// Metadata are an object's.
type Metadata struct {
	Name            string            `json:"name" yaml:"name"`
	GenerateName    string            `json:"generateName" yaml:"generateName"`
	Namespace       string            `json:"namespace" yaml:"namespace"`
	Labels          map[string]string `json:"labels" yaml:"labels"`
	Annotations     map[string]string `json:"annotations" yaml:"annotations"`
	OwnerReferences []struct {
		Kind       string `json:"kind" yaml:"kind"`
		Name       string `json:"name" yaml:"name"`
		Controller bool   `json:"controller" yaml:"controller"`
	} `json:"ownerReferences" yaml:"ownerReferences"`
}

// Container is a container of a pod.
type Container struct {
	Name   string  `json:"name" yaml:"name"`
	Mounts []Mount `json:"volumeMounts" yaml:"volumeMounts"`
}

// Settings say what is wanted of a pod. What is empty is taken from its annotations.
type Settings struct {
	Service    string
	Dirs       []Dir
	Containers []string
	// Workload and Namespace name what the pod belongs to, for a service without a UUID: see ServiceOf.
	Workload, Namespace string
}

// Plan is what a pod lacks.
type Plan struct {
	Volumes []Volume
	Mounts  []ContainerMount
	// Dirs tells how many directories are wanted, whether or not the pod has them already.
	Dirs int
}

// ContainerMount is a mount for the container of that index.
type ContainerMount struct {
	Container int
	Mount     Mount
}

// ServiceOf is the UUID of a service that has none: the first 16 hexadecimal digits of the SHA-256 of <namespace>/<workload>, so that
// all pods of a workload share it, over its revisions too.
func ServiceOf(namespace, workload string) string {
	sum := sha256.Sum256([]byte(namespace + "/" + workload))
	return hex.EncodeToString(sum[:8])
}

// ParseDirs reads directories as the annotation and the flags have them.
func ParseDirs(text string) ([]Dir, error) {
	var dirs []Dir
	for item := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == '\n' }) {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		title, p, ok := strings.Cut(item, "=")
		if !ok {
			return nil, fmt.Errorf("%.80q is no log directory: title=path is wanted", item)
		}
		dirs = append(dirs, Dir{strings.TrimSpace(title), strings.TrimSpace(p)})
	}
	return dirs, nil
}

// Plan tells what a pod lacks. A pod of which no directories are wanted lacks nothing.
func (s Settings) Plan(pod Pod) (Plan, error) {
	notes := pod.Metadata.Annotations
	if len(s.Dirs) == 0 {
		var err error
		if s.Dirs, err = ParseDirs(notes[DirsAnnotation]); err != nil {
			return Plan{}, fmt.Errorf("annotation %s: %w", DirsAnnotation, err)
		}
	}
	if len(s.Dirs) == 0 {
		return Plan{}, nil
	}
	if v := notes[ServiceAnnotation]; v != "" {
		s.Service = v
	}
	if s.Service == "" {
		if s.Workload == "" {
			return Plan{}, fmt.Errorf("no service UUID: set the annotation %s", ServiceAnnotation)
		}
		s.Service = ServiceOf(s.Namespace, s.Workload)
	}
	volumes, mounts, err := Compose(s.Service, s.Dirs)
	if err != nil {
		return Plan{}, err
	}
	containers, err := s.containers(pod)
	if err != nil {
		return Plan{}, err
	}
	out := Plan{Dirs: len(s.Dirs)}
	for _, v := range volumes {
		i := slices.IndexFunc(pod.Spec.Volumes, func(old Volume) bool { return old.Name == v.Name })
		switch {
		case i < 0:
			out.Volumes = append(out.Volumes, v)
		case pod.Spec.Volumes[i].EmptyDir == nil:
			return Plan{}, fmt.Errorf("the pod has a volume %s that is no emptyDir", v.Name)
		}
	}
	for _, i := range containers {
		c := pod.Spec.Containers[i]
		for _, m := range mounts {
			at := slices.IndexFunc(c.Mounts, func(old Mount) bool { return path.Clean(old.MountPath) == m.MountPath })
			switch {
			case at < 0:
				out.Mounts = append(out.Mounts, ContainerMount{i, m})
			case c.Mounts[at].Name != m.Name:
				return Plan{}, fmt.Errorf("container %s has the volume %s at %s already", c.Name, c.Mounts[at].Name, m.MountPath)
			}
		}
	}
	return out, nil
}

// containers are the indexes of those that get the mounts: those that are named, else the main one, else the first.
func (s Settings) containers(pod Pod) ([]int, error) {
	named := s.Containers
	for _, key := range []string{ContainersAnnotation, defaultContainer} {
		if len(named) == 0 {
			named = strings.FieldsFunc(pod.Metadata.Annotations[key], func(r rune) bool { return r == ',' || r == ' ' || r == '\n' })
		}
	}
	if len(pod.Spec.Containers) == 0 {
		return nil, fmt.Errorf("the pod has no containers")
	}
	if len(named) == 0 {
		return []int{0}, nil
	}
	var out []int
	for _, name := range named {
		i := slices.IndexFunc(pod.Spec.Containers, func(c Container) bool { return c.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("the pod has no container %q", name)
		}
		if !slices.Contains(out, i) {
			out = append(out, i)
		}
	}
	return out, nil
}
