package api

import (
	_ "embed"
	"net/http"
)

// description is the OpenAPI 3.0.3 document of everything the server answers over HTTP. It is written by hand; tests hold it
// against the registered routes, and a client generated from it is used in them.
//
//go:embed openapi.json
var description []byte

func openAPI(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(description)
}
