// Package kubernetes holds the manifests for Kubernetes: the server, the agent, the two DaemonSets of the design with their own
// configurations, and the webhook that composes applog volumes. In comes what differs from cluster to cluster; out goes YAML for
// kubectl apply.
//
// What must hold: a real API server takes every manifest under strict validation (test/real/manifests), and the programs take the
// configurations in them. agent.yaml is what the template gives for the defaults.
package kubernetes
