// Package k8smeta tells which pod a line comes from. In comes the name that docker or cri-dockerd gave the container, or the path of
// the file; out go the fields that Filebeat's add_kubernetes_metadata has: kubernetes.*, container.*.
//
// Here are the parts that need names only: the parsers, the guess at a pod's owner from its name, and the processor that runs in
// the server. What the API server knows (labels, annotations, the owner itself) is in the room pods, which holds it for the agent's
// processor of the same name, beat/k8smeta.
//
// What must hold: a name or a path that is not of one of the known forms gives nothing at all; what is a guess is overruled by
// the API server; a field that an event has already is never overwritten from a name.
package k8smeta
