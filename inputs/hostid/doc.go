// Package hostid tells this machine from others, for the names of sources: the files of two nodes must never be taken for
// the same. Nothing comes in but files of the system; out goes a short text that stays the same over reboots. It is no host
// name, because in a pod that is the pod's, and no secret.
package hostid
