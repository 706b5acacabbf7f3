// Package metadata tries the agent's processor k8smeta against a real API server: with pods that come, change and go while lines
// flow, and with the API server down. Its tests are behind the build tag kube; go tool mage kube runs them.
package metadata
