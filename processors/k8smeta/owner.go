package k8smeta

import (
	"strconv"
	"strings"
)

// The kinds of owners that are told apart, as the API server names them.
const (
	Deployment  = "Deployment"
	StatefulSet = "StatefulSet"
	DaemonSet   = "DaemonSet"
	ReplicaSet  = "ReplicaSet"
	Job         = "Job"
	CronJob     = "CronJob"
	StaticPod   = "StaticPod"
)

// Owner is what a pod belongs to: the outermost of its controllers.
type Owner struct {
	Kind string // "" where only the name is known
	Name string
	// Inner is the controller between the two: the ReplicaSet of a Deployment, the Job of a CronJob.
	Inner string
	// Node is the node of a static pod, where the pod's name says it.
	Node string
}

// Guess tells from its name what a pod belongs to. Names are joined by dashes, which they may contain themselves, so the parts are
// told by what Kubernetes puts into them:
//
//	<deployment>-<hash>-<5 random>    the hash in decimal, or since 1.9 in the ten characters that its digits are written with
//	<cronjob>-<minutes since 1970>-<5 random>   before 1.21 seconds, ten digits of a whole minute
//	<statefulset>-<ordinal>
//	<static pod>-<node>               where the UID is a configuration's hash; host is the name of the node as far as it is known
//	<name>-<5 random>                 a ReplicaSet, DaemonSet or Job of that name: the kind is left open
//
// A name that is longer than 63 bytes was cut to 58 before the random part was appended.
func Guess(r Ref, host string) Owner {
	if r.ConfigHash() {
		return static(r, host)
	}
	base, ok := generated(r.Pod)
	if !ok {
		if name, last := lastDash(r.Pod); name != "" && ordinal(last) {
			return Owner{Kind: StatefulSet, Name: name}
		}
		return Owner{}
	}
	name, last := lastDash(base)
	switch {
	case name == "":
	case scheduled(last):
		return Owner{Kind: CronJob, Name: name, Inner: base}
	case templateHash(last, len(r.Pod) == maxName):
		return Owner{Kind: Deployment, Name: name, Inner: base}
	}
	return Owner{Name: base}
}

const (
	maxName = 63
	// random are the characters of random parts; 0, 1 and 3 have been among them before Kubernetes 1.9.
	random = "bcdfghjklmnpqrstvwxz0123456789"
	// safeDigits are what the ten digits become in a hash: rand.SafeEncodeString of k8s.io/apimachinery.
	safeDigits = "456789bcdf"
)

// generated cuts off what the API server has appended to generateName.
func generated(pod string) (base string, ok bool) {
	if len(pod) < 7 || !only(pod[len(pod)-5:], random) {
		return "", false
	}
	base = pod[:len(pod)-5]
	if base[len(base)-1] == '-' {
		return strings.TrimRight(base, "-"), true
	}
	return base, len(pod) == maxName
}

func lastDash(s string) (name, last string) {
	i := strings.LastIndexByte(s, '-')
	if i <= 0 {
		return "", s
	}
	return s[:i], s[i+1:]
}

func only(s, chars string) bool {
	for i := range len(s) {
		if strings.IndexByte(chars, s[i]) < 0 {
			return false
		}
	}
	return len(s) > 0
}

// templateHash tells whether s is the hash of a pod template: a number of 32 bits. Smaller ones than of six digits are one in
// 40,000; a cut name may have any part of it.
func templateHash(s string, cut bool) bool {
	if len(s) > 10 || len(s) < 6 && !cut {
		return false
	}
	return only(s, safeDigits) || digits(s) && s[0] != '0'
}

// scheduled tells whether s is the time in the name of a CronJob's Job.
func scheduled(s string) bool {
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil:
		return false
	case len(s) == 8: // minutes, from 2020 until 2046
		return n >= 26_297_280 && n < 40_000_000
	}
	return len(s) == 10 && n >= 1_400_000_000 && n < 1_700_000_000 && n%60 == 0
}

// OfJob tells the CronJob whose Job has the name; zero where it is no name of that kind.
func OfJob(job string) Owner {
	if name, last := lastDash(job); name != "" && scheduled(last) {
		return Owner{Kind: CronJob, Name: name, Inner: job}
	}
	return Owner{}
}

func ordinal(s string) bool { return digits(s) && len(s) <= 4 && (s == "0" || s[0] != '0') }

// static splits the name of a static pod. Node names have dashes too, so the host's name decides, in full or up to its first dot;
// without one the name of the container, which is mostly that of the pod.
func static(r Ref, host string) Owner {
	short, _, _ := strings.Cut(host, ".")
	for _, node := range []string{host, short} {
		if name, ok := strings.CutSuffix(r.Pod, "-"+strings.ToLower(node)); ok && node != "" && name != "" {
			return Owner{Kind: StaticPod, Name: name, Node: r.Pod[len(name)+1:]}
		}
	}
	if node, ok := strings.CutPrefix(r.Pod, r.Container+"-"); ok && r.Container != "" && node != "" {
		return Owner{Kind: StaticPod, Name: r.Container, Node: node}
	}
	return Owner{Kind: StaticPod}
}
