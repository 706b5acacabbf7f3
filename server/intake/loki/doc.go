// Package loki takes streams from clients of Grafana Loki: POST /loki/api/v1/push and its predecessor /api/prom/push, with JSON or
// with a protobuf message in snappy's block format. The shapes are those of Loki's HTTP API reference, "Ingest logs", and of
// pkg/push/push.proto (messages PushRequest, StreamAdapter, EntryAdapter).
//
// What must hold: 204 only after every entry is durable. A body that is not what it says is refused before anything of it is
// stored. Entries that cannot be taken are counted in a 400, and the others are durable then, as with Loki itself. Entries have
// no identity: one that is sent twice is stored twice.
package loki
