package k8smeta

import "strings"

// The prefix and the middle of the name of a volume that holds an application's log files.
const (
	volumePrefix = "applog-"
	volumeMiddle = "-endname-"
)

// ParsePath reads the path of a log file. The directories before those shown may be any, as the node's are mounted anywhere in an
// agent's pod:
//
//	…/<pod UID>/volumes/kubernetes.io~empty-dir/applog-<service UUID>-endname-<title>/…   also of any other volume
//	…/<pod UID>/volume-subpaths/<volume>/<container>/<number>/…
//	…/pods/<namespace>_<pod>_<pod UID>/<container>/<attempt>.log                          also rotated: .log.20240506-070809.gz
//	…/pods/<pod UID>/<container>/<attempt>.log, …/pods/<pod UID>/<container>_<attempt>.log before Kubernetes 1.14 and 1.10
//	…/containers/<pod>_<namespace>_<container>-<container id>.log
//	…/containers/<container id>/<container id>-json.log                                   docker's own
//
// The formats are those of the kubelet: pkg/kubelet/kubelet_getters.go, pkg/kubelet/kuberuntime/helpers.go and legacy.go.
func ParsePath(path string) (Ref, bool) {
	if len(path) > 4096 {
		return Ref{}, false
	}
	// From the end: the last place that fits is the one, should such a path be mounted below another.
	for end := len(path); end > 0; {
		start := strings.LastIndexByte(path[:end], '/') + 1
		var r Ref
		ok := false
		switch path[start:end] {
		case "volumes":
			r, ok = volumePath(path[:max(start-1, 0)], strings.TrimPrefix(path[end:], "/"))
		case "volume-subpaths":
			r, ok = subPath(path[:max(start-1, 0)], strings.TrimPrefix(path[end:], "/"))
		case "pods":
			r, ok = podLog(strings.TrimPrefix(path[end:], "/"))
		case "containers":
			r, ok = containerLog(strings.TrimPrefix(path[end:], "/"))
		}
		if ok {
			return r, true
		}
		end = start - 1
	}
	return Ref{}, false
}

func volumePath(before, after string) (Ref, bool) {
	plugin, rest, _ := strings.Cut(after, "/")
	volume, file, ok := strings.Cut(rest, "/")
	r := Ref{UID: before[strings.LastIndexByte(before, '/')+1:], Volume: volume}
	if !ok || file == "" || volume == "" || !strings.HasPrefix(plugin, "kubernetes.io~") || !uid(r.UID) {
		return Ref{}, false
	}
	if name, ok := strings.CutPrefix(volume, volumePrefix); ok && plugin == "kubernetes.io~empty-dir" {
		// A UUID does not contain the middle, a title may.
		r.ServiceID, r.Title, _ = strings.Cut(name, volumeMiddle)
	}
	return r, true
}

func subPath(before, after string) (Ref, bool) {
	volume, rest, _ := strings.Cut(after, "/")
	container, rest, _ := strings.Cut(rest, "/")
	number, file, _ := strings.Cut(rest, "/")
	r := Ref{UID: before[strings.LastIndexByte(before, '/')+1:], Volume: volume, Container: container}
	return r, file != "" && volume != "" && digits(number) && dnsLabel(container) && uid(r.UID)
}

func podLog(after string) (Ref, bool) {
	dir, rest, ok := strings.Cut(after, "/")
	if !ok {
		return Ref{}, false
	}
	var r Ref
	if namespace, more, named := strings.Cut(dir, "_"); named {
		pod, id, two := strings.Cut(more, "_")
		r = Ref{Namespace: namespace, Pod: pod, UID: id}
		if !two || !dnsLabel(namespace) || !dnsName(pod) {
			return Ref{}, false
		}
	} else {
		r.UID = dir
	}
	if !uid(r.UID) {
		return Ref{}, false
	}
	container, file, ok := strings.Cut(rest, "/")
	if !ok { // <container>_<attempt>.log
		container, file, ok = strings.Cut(rest, "_")
		if !ok || r.Pod != "" {
			return Ref{}, false
		}
	}
	attempt, log, _ := strings.Cut(file, ".")
	if !dnsLabel(container) || !digits(attempt) || log != "log" && !strings.HasPrefix(log, "log.") {
		return Ref{}, false
	}
	r.Container, r.Attempt = container, attempt
	return r, true
}

func containerLog(after string) (Ref, bool) {
	dir, file, nested := strings.Cut(after, "/")
	if nested {
		name, ok := strings.CutPrefix(file, dir)
		return Ref{ContainerID: dir}, ok && containerID(dir) && (name == "-json.log" || strings.HasPrefix(name, "-json.log."))
	}
	name, ok := strings.CutSuffix(after, ".log")
	pod, rest, two := strings.Cut(name, "_")
	namespace, rest, three := strings.Cut(rest, "_")
	dash := strings.LastIndexByte(rest, '-')
	if !ok || !two || !three || dash < 0 {
		return Ref{}, false
	}
	r := Ref{Pod: pod, Namespace: namespace, Container: rest[:dash], ContainerID: rest[dash+1:]}
	return r, dnsName(pod) && dnsLabel(namespace) && dnsLabel(r.Container) && containerID(r.ContainerID)
}

func containerID(s string) bool { return len(s) == 64 && hexadecimal(s) }
