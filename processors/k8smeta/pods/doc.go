// Package pods holds what the API server has said of the pods of one node: in memory, and in a file so that it outlives the agent.
// In come pods as a watch sees them; out goes the pod that a container's name or a file's path belongs to, after a bounded wait
// where it has not been seen yet. It knows neither the API server's client nor libbeat.
//
// What must hold: a pod that has gone is kept, as its lines may be read long after; what is kept is bounded. A stream of events
// is held up, over any time T, by no more than wait + T/5, and not at all while the API server cannot be reached (but once,
// after the start). A damaged file is discarded with a warning and costs nothing but what was in it.
package pods
