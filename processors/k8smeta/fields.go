package k8smeta

// The names of the fields, as Filebeat's add_kubernetes_metadata has them. The two of the workload are ours: the owner's name in one
// field whatever its kind, for where the kind is not known or does not matter.
const (
	FieldNamespace        = "kubernetes.namespace"
	FieldPod              = "kubernetes.pod.name"
	FieldUID              = "kubernetes.pod.uid"
	FieldIP               = "kubernetes.pod.ip"
	FieldNode             = "kubernetes.node.name"
	FieldContainer        = "kubernetes.container.name"
	FieldVolume           = "kubernetes.volume.name"
	FieldWorkloadKind     = "kubernetes.workload.kind"
	FieldWorkloadName     = "kubernetes.workload.name"
	FieldContainerID      = "container.id"
	FieldContainerRuntime = "container.runtime"
	FieldContainerImage   = "container.image.name"
	FieldServiceID        = "service.id"
	FieldTitle            = "applog.title"
	FieldLabels           = "kubernetes.labels" // a dot comes after it, and the label with its own dots turned to underscores
	FieldAnnotations      = "kubernetes.annotations"
)

// Each calls f with each field that the name or the path gives, in a fixed order.
func (r Ref) Each(f func(name, value string)) {
	pairs := [...]struct{ name, value string }{
		{FieldNamespace, r.Namespace}, {FieldPod, r.Pod}, {FieldUID, r.UID}, {FieldContainer, r.Container},
		{FieldVolume, r.Volume}, {FieldContainerID, r.ContainerID}, {FieldServiceID, r.ServiceID}, {FieldTitle, r.Title},
	}
	for _, p := range pairs {
		if p.value != "" {
			f(p.name, p.value)
		}
	}
}

// Each calls f with each field of the owner.
func (o Owner) Each(f func(name, value string)) {
	put := func(name, value string) {
		if value != "" {
			f(name, value)
		}
	}
	switch o.Kind {
	case Deployment:
		put("kubernetes.deployment.name", o.Name)
		put("kubernetes.replicaset.name", o.Inner)
	case CronJob:
		put("kubernetes.cronjob.name", o.Name)
		put("kubernetes.job.name", o.Inner)
	case StatefulSet:
		put("kubernetes.statefulset.name", o.Name)
	case DaemonSet:
		put("kubernetes.daemonset.name", o.Name)
	case ReplicaSet:
		put("kubernetes.replicaset.name", o.Name)
	case Job:
		put("kubernetes.job.name", o.Name)
	}
	put(FieldNode, o.Node)
	put(FieldWorkloadKind, o.Kind)
	put(FieldWorkloadName, o.Name)
}
