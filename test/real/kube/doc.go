// Package kube starts a real kube-apiserver, with etcd below it, for one test: on loopback, on free ports, with certificates of its
// own. There is no scheduler, no controller and no kubelet: a test makes itself what those would make (the node a pod is bound to,
// a ReplicaSet of a Deployment, a pod's status).
//
// The two programs, kube-apiserver and kubectl, are built from their Go modules (programs/, a module of its own, whose versions are
// pinned there) into the user's cache directory. That takes about six minutes on two cores the first time, so the tests that use this package
// are behind the build tag kube: plain go test does not see them. They are run by
//
//	go tool mage kube
//
// which .ci/run calls too, and singly by go test -tags kube ./test/real/….
//
// What must hold: what a Cluster has started dies with its test, also when the test's process is killed.
package kube
