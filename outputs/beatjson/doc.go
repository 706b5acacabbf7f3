// Package beatjson writes a beat.Event as JSON: {"@timestamp", "@metadata": {"beat", "type": "_doc", "version", …}, fields…}.
// Events of libbeat's pipeline come in; what goes out is appended to the caller's buffer.
//
// What must hold: the content is that of libbeat's own codec (libbeat/outputs/codec/json), of which only the order of keys is
// left open. Two things differ on purpose: a field called @metadata or @timestamp is not written a second time beside the
// real one, as libbeat does after include_fields; and an event that libbeat's codec cannot encode is not an error, but is
// written with what of it can be encoded, so that its text and position still arrive.
package beatjson
