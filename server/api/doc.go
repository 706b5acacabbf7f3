// Package api holds the handlers that read: queries, context, exports, statistics, live tails, the account of sources, plans
// of queries, and the description of the whole HTTP API (openapi.json). In come HTTP requests with a principal in their
// context, out go NDJSON, CSV, JSON and server-sent events. docs/api.md shows each.
//
// What must hold: every search is narrowed to the principal's tenant, namespaces and clusters in the syntax tree, here, and
// nowhere by text. A partial answer always says so: an error status before the first byte, the trailer Tally-Error or a broken
// connection after it. Searches and live tails are bounded in number, so that intake stays alive. Each leaves a line in the
// audit log.
package api
