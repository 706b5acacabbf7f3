// Package client is a client of the HTTP API, generated from server/api/openapi.json: pushing and querying. It is here to show
// that the document is good enough for that, and is used in a test against a running server. In go requests with their
// parameters, out come the server's answers. The generated code must belong to the document as it is: openapi.sha256 tells.
//
// The generator's own run-time library is replaced by the package style, so that no module is needed for it.
package client

//go:generate sh -c "GOFLAGS= go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.5.1 -generate types,client -include-tags push,query -package client ../../server/api/openapi.json | sed 's#\"github.com/oapi-codegen/runtime\"#runtime \"github.com/tallylog/tally/test/client/style\"#' >client.gen.go"
//go:generate sh -c "sha256sum <../../server/api/openapi.json >openapi.sha256"
