// Package siblings makes several servers before one Elasticsearch behave as one. Batches come in from intake; each part goes to the server that
// admits its source, which may be this one, and the answers come back as one.
//
// The sources and the identities of all tenants fall into 256 buckets by their hash. One document in Elasticsearch, the table, says which
// servers live and which of them admits each bucket. It is only ever replaced in the version that was read, so there is one truth. Every server
// writes a beat into it. A server whose beat the others have not seen change for the time of the lease, by their own clocks, is taken out,
// and its buckets go to the rest; a server that joins is handed its share by those that hold it, once what they have begun is done.
//
// What must hold:
//
//   - Stored once: an event that can come again has one document id and one index, whichever server stores it, and documents are only
//     created (storage/elasticsearch, documentID and settleDays). This does not rest on leases or clocks: a server that was stopped for an hour
//     and goes on writing doubles nothing.
//   - Nothing lost: a batch is acknowledged when each part of it is synced in the buffer of the server that admitted it, and that server
//     feeds it to Elasticsearch though it has lost the bucket since, and after a crash when it is started again.
//   - One account: a source is admitted by the holder of its bucket alone. The lease of a server ends, by its own clock, one lease after the
//     beginning of its last beat that was written, a tenth early; the others begin to count when they have seen that beat, hence later. A part
//     whose lease has ended while it was admitted is not acknowledged.
//   - Between servers each request and each answer is signed with a secret that only those have who may write the table. It is not hidden
//     from who listens on the way; TLS does that.
//
// An event without any identity can be known by nobody, is stored at least once, and needs no lease: the server that took it admits it.
package siblings
