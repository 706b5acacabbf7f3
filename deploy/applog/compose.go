package applog

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

// Dir is a directory of log files in a container.
type Dir struct {
	// Title names the directory to people, in the field applog.title. It becomes part of a volume's name: lower-case letters, digits
	// and dashes.
	Title string
	// Path is absolute. The volume hides what the image has there.
	Path string
}

// Volume is a volume of a pod, as far as this package looks.
type Volume struct {
	Name     string    `json:"name" yaml:"name"`
	EmptyDir *EmptyDir `json:"emptyDir,omitempty" yaml:"emptyDir,omitempty"`
}

// EmptyDir is an empty directory that lives as long as its pod; on the node's disk where Medium is empty.
type EmptyDir struct {
	Medium string `json:"medium,omitempty" yaml:"medium,omitempty"`
}

// Mount is the mount of a volume in a container, as far as this package looks.
type Mount struct {
	Name      string `json:"name" yaml:"name"`
	MountPath string `json:"mountPath" yaml:"mountPath"`
}

const (
	prefix  = "applog-"
	middle  = "-endname-"
	maxName = 63 // of a DNS label (RFC 1123), which a volume's name is
	maxDirs = 32
	maxPath = 1024
)

var label = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)

// VolumeName is applog-<service>-endname-<title>, or an error that says why that cannot be a volume's name.
func VolumeName(service, title string) (string, error) {
	switch {
	case !label.MatchString(service):
		return "", fmt.Errorf("the service UUID %q has other characters than lower-case letters, digits and dashes between them", service)
	case strings.Contains(service+"-", middle):
		return "", fmt.Errorf("the service UUID %q contains %q, which parts it from the title", service, middle)
	case !label.MatchString(title):
		return "", fmt.Errorf("the title %q has other characters than lower-case letters, digits and dashes between them", title)
	}
	name := prefix + service + middle + title
	if over := len(name) - maxName; over > 0 {
		return "", fmt.Errorf("the title %q is %d characters too long: the volume's name %s may have %d, which leaves %d for a title",
			title, over, name, maxName, max(0, maxName-len(prefix+service+middle)))
	}
	return name, nil
}

// Compose makes the volumes of a service's directories and their mounts, in the order of the directories. Without directories there
// are none.
func Compose(service string, dirs []Dir) ([]Volume, []Mount, error) {
	if len(dirs) > maxDirs {
		return nil, nil, fmt.Errorf("%d log directories are too many: at most %d", len(dirs), maxDirs)
	}
	volumes, mounts := make([]Volume, 0, len(dirs)), make([]Mount, 0, len(dirs))
	titles, paths := map[string]bool{}, map[string]string{}
	for _, d := range dirs {
		name, err := VolumeName(service, d.Title)
		if err == nil {
			err = checkPath(d.Path)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("log directory %s=%s: %w", d.Title, d.Path, err)
		}
		clean := path.Clean(d.Path)
		if titles[d.Title] {
			return nil, nil, fmt.Errorf("log directory %s=%s: the title is taken by another directory", d.Title, d.Path)
		}
		if other, ok := paths[clean]; ok {
			return nil, nil, fmt.Errorf("log directory %s=%s: the path is that of %s", d.Title, d.Path, other)
		}
		titles[d.Title], paths[clean] = true, d.Title
		volumes = append(volumes, Volume{Name: name, EmptyDir: &EmptyDir{}})
		mounts = append(mounts, Mount{Name: name, MountPath: clean})
	}
	return volumes, mounts, nil
}

// checkPath holds a path to what Kubernetes asks of mountPath, and to sense.
func checkPath(p string) error {
	switch {
	case !strings.HasPrefix(p, "/"):
		return fmt.Errorf("the path %q is not absolute", p)
	case len(p) > maxPath:
		return fmt.Errorf("the path has %d bytes, at most %d", len(p), maxPath)
	case strings.ContainsAny(p, ":\x00\n"):
		return fmt.Errorf("the path %q holds a colon, a line's end or a zero byte", p)
	case strings.Contains(p+"/", "/../"):
		return fmt.Errorf("the path %q goes upwards", p)
	case path.Clean(p) == "/":
		return fmt.Errorf("the path is the root, which the volume would hide")
	}
	return nil
}
