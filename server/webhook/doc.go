// Package webhook answers the API server of Kubernetes: the mutating admission webhook that gives pods the volumes for their log files, as
// deploy/applog composes them. In comes a review of a pod (admission.k8s.io/v1); out goes a JSON patch, or a refusal with its reason.
//
// What must hold: a pod without the annotation is let through as it is; a review is bounded in size, and few are read at a time, as the
// API server brings no credentials that could be checked; the answer depends on the review alone, so asking twice is the same as once.
package webhook
