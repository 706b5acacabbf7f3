// Package systemd holds the units of the server and the agent for machines without Kubernetes, and the journal's settings. They are
// files to install; the test has systemd-analyze look at them.
package systemd
