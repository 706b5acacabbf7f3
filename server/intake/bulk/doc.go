// Package bulk takes events from clients of Elasticsearch: POST /_bulk and /{index}/_bulk, and, so that such clients connect at
// all, the few other addresses that they ask first (facade.go). Formats are those of Elasticsearch's REST reference, "Bulk
// API", 7.17 and 8.x.
//
// What must hold: the answer names every item in its order, and an item of status 2xx or 409 is durable. A malformed action
// line refuses the request before anything of it is stored; a bad document fails its own item. (tenant, index, _id) is the
// identity of a document that has an _id: it is stored once, a second one answered with 409 (create) or 200 "updated" (index),
// and then the first stays as it is: a log line does not change. A document without an _id is stored as often as it is sent.
package bulk
