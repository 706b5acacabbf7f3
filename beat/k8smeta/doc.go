// Package k8smeta is the agent's processor k8smeta: it gives each event the metadata of its pod. In come libbeat's events, and one
// watch of the API server for the pods of this node, shared by all processors of the process; out go the fields of Filebeat's
// add_kubernetes_metadata. What names and paths say is read by processors/k8smeta, what the watch says is kept by its room pods.
//
// What must hold: the watch begins only when the beat runs; an event is held up no longer than pods allows; the maps given to an
// event are its own, as later processors change them.
package k8smeta
