// Package applog composes the volumes by which Tally's agent finds the log files of an application: for each directory of log files a
// pod gets a volume emptyDir named applog-<service UUID>-endname-<title>, mounted at the directory's path. On the node the files then lie
// under …/pods/<pod UID>/volumes/kubernetes.io~empty-dir/<that name>/, where the agent reads *.log.
//
// In come directories (title and path), a service's UUID, and a pod as it is: as Go values (Compose, Settings.Plan), as a manifest
// (Manifest), or as the JSON of a pod under admission (Patch). Out go volumes and mounts, the manifest with them, or a JSON patch.
//
// What must hold: what Kubernetes would refuse, or would do otherwise than meant, is refused with the reason; composing twice is the same
// as once; nothing else of a manifest changes.
package applog
