package k8smeta

import "strings"

// Ref is what a container's name or a file's path says of where a line comes from. What is empty was not said.
type Ref struct {
	Namespace string
	Pod       string
	// UID is the pod's UID. For a static pod (made by the kubelet of a file on the node) it is the hash of that file, 32 hexadecimal
	// digits, which the API server shows in the annotation kubernetes.io/config.hash, under another UID.
	UID         string
	Container   string
	ContainerID string // 64 hexadecimal digits
	Attempt     string // how often the container was restarted; in names before Kubernetes 1.6 a random text
	Volume      string // the volume that the file lies in
	// ServiceID and Title are of a volume named applog-<service UUID>-endname-<title>.
	ServiceID, Title string
}

// Sandbox is the container name of a pod's sandbox ("pause") in the names of docker.
const Sandbox = "POD"

// ParseContainerName reads the name that dockershim or cri-dockerd gives a container, as the field CONTAINER_NAME of docker's
// journald driver has it:
//
//	k8s_<container>_<pod>_<namespace>_<pod UID>_<attempt>          since Kubernetes 1.6, and cri-dockerd
//	k8s_<container>_<pod>_<namespace>_<pod UID>_<attempt>_<random>  after a conflict of names
//	k8s_<container>.<hash>_<pod>_<namespace>_<pod UID>_<random>     before Kubernetes 1.6
//
// A slash before it, as docker inspect shows it, is left out. None of the parts can contain an underscore (they are DNS names), so
// the name splits in one way only. The formats are those of pkg/kubelet/dockershim/naming.go, pkg/kubelet/dockertools/docker.go of
// Kubernetes 1.5, and cri-dockerd's core/naming.go.
func ParseContainerName(name string) (Ref, bool) {
	rest, ok := strings.CutPrefix(strings.TrimPrefix(name, "/"), "k8s_")
	if !ok || len(name) > 512 {
		return Ref{}, false
	}
	var r Ref
	for _, part := range []*string{&r.Container, &r.Pod, &r.Namespace, &r.UID} {
		if *part, rest, ok = strings.Cut(rest, "_"); !ok {
			return Ref{}, false
		}
	}
	random := ""
	r.Attempt, random, ok = strings.Cut(rest, "_")
	if ok && !hexadecimal(random) || !hexadecimal(r.Attempt) {
		return Ref{}, false
	}
	container, hash, old := strings.Cut(r.Container, ".")
	if old && !hexadecimal(hash) {
		return Ref{}, false
	}
	r.Container = container
	if !dnsLabel(r.Container) && r.Container != Sandbox || !dnsName(r.Pod) || !dnsLabel(r.Namespace) || !uid(r.UID) {
		return Ref{}, false
	}
	return r, true
}

// dnsLabel and dnsName tell whether s may be the name of a container or namespace, or of a pod.
func dnsLabel(s string) bool { return len(s) <= 63 && dnsName(s) && strings.IndexByte(s, '.') < 0 }

func dnsName(s string) bool {
	if len(s) == 0 || len(s) > 253 || !alphanumeric(s[0]) || !alphanumeric(s[len(s)-1]) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !alphanumeric(c) && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool { return 'a' <= c && c <= 'z' || digit(c) }

func digit(c byte) bool { return '0' <= c && c <= '9' }

// uid tells whether s may be the UID of a pod: a UUID, or a hash without dashes.
func uid(s string) bool {
	return len(s) >= 8 && len(s) <= 64 && hexOr(s, '-') && s[0] != '-' && s[len(s)-1] != '-'
}

func hexadecimal(s string) bool { return len(s) > 0 && hexOr(s, '0') }

// hexOr tells whether all of s is hexadecimal digits, in lower case, or the byte also.
func hexOr(s string, also byte) bool {
	for i := range len(s) {
		if c := s[i]; !digit(c) && (c < 'a' || c > 'f') && c != also {
			return false
		}
	}
	return true
}

func digits(s string) bool {
	for i := range len(s) {
		if !digit(s[i]) {
			return false
		}
	}
	return len(s) > 0
}

// ConfigHash tells whether the UID is that of a static pod.
func (r Ref) ConfigHash() bool { return len(r.UID) == 32 && hexadecimal(r.UID) }
