package otlp

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tallylog/tally/server/answer"
)

// succeed answers with an ExportLogsServiceResponse: {1: partial_success {1: rejected_log_records, 2: error_message}}, which is
// empty when nothing was rejected.
func succeed(w http.ResponseWriter, enc encoding, rejected int, reason string) {
	if enc.json {
		v := map[string]any{}
		if rejected > 0 {
			v["partialSuccess"] = map[string]any{"rejectedLogRecords": strconv.Itoa(rejected), "errorMessage": reason}
		}
		sendJSON(w, http.StatusOK, v)
		return
	}
	var b []byte
	if rejected > 0 {
		b = protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(rejected))
		b = protowire.AppendString(protowire.AppendTag(b, 2, protowire.BytesType), reason)
		b = protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), b)
	}
	sendProto(w, http.StatusOK, b)
}

// fail answers with a google.rpc.Status {1: code, 2: message}. Clients send again after 429, 502, 503 and 504, and drop after the rest.
func fail(w http.ResponseWriter, enc encoding, err error) {
	var e *answer.Error
	if !errors.As(err, &e) {
		e = answer.Errorf(http.StatusInternalServerError, "internal", "internal error; the server's log has the reason")
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(e.RetryAfter))
	}
	if enc.json {
		sendJSON(w, e.Status, map[string]any{"code": code(e.Status), "message": e.Message})
		return
	}
	b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), code(e.Status))
	sendProto(w, e.Status, protowire.AppendString(protowire.AppendTag(b, 2, protowire.BytesType), e.Message))
}

// code is the google.rpc.Code of an HTTP status.
func code(status int) uint64 {
	switch status {
	case http.StatusUnauthorized:
		return 16 // UNAUTHENTICATED
	case http.StatusForbidden:
		return 7 // PERMISSION_DENIED
	case http.StatusRequestEntityTooLarge, http.StatusTooManyRequests:
		return 8 // RESOURCE_EXHAUSTED
	case http.StatusServiceUnavailable:
		return 14 // UNAVAILABLE
	case http.StatusInternalServerError:
		return 13 // INTERNAL
	}
	return 3 // INVALID_ARGUMENT
}

func sendProto(w http.ResponseWriter, status int, b []byte) {
	w.Header().Set("Content-Type", "application/x-protobuf")
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

func sendJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		answer.Fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b)
}
