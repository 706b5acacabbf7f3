// Package auth decides who may do what: tenants, users, API tokens, browser sessions, and the audit log.
//
// In comes an HTTP request with a bearer token, Basic credentials or the page's cookie; out goes a Principal, which says who
// asks, in which tenant, with which role and within which Kubernetes namespaces and clusters. Everything is kept in one SQLite file,
// DIR/auth.db, which one process owns. All of it but the audit log is also held in memory, so that a request is judged
// without touching the disk; a change is committed to the file first and then made in memory, both under one lock.
//
// What must hold: no secret is ever written in clear, logged, or put into an error. A revocation, a new password or a
// disabled user takes effect with the answer that reports it, and survives a crash after it. Guessing is slowed by user and
// by address, but a valid token or session always works. Nobody can hand out more than they have themselves.
package auth
