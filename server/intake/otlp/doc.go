// Package otlp takes logs over OTLP/HTTP: POST /v1/logs and /otlp/v1/logs, as protobuf or JSON. The formats are those of the
// OpenTelemetry Protocol specification 1.x and of opentelemetry/proto/{collector/logs,logs,common,resource}/v1.
//
// Both are read record by record, straight into the text that event.Decoder reads: unmarshalled as a whole, a body of empty
// records would take a hundred times its size.
//
// What must hold: 200 only after every record that it does not count as rejected is durable. A body that is not what it says is
// refused before anything of it is stored. Errors are google.rpc.Status in the encoding of the request. Records have no
// identity: one that is sent twice is stored twice.
package otlp
