// Package manifests has a real API server validate every manifest of deploy/kubernetes, strictly, and admit what they make. Its tests
// are behind the build tag kube; go tool mage kube runs them.
package manifests
