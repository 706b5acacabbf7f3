// Package redact masks what must not be stored: card numbers, addresses, keys, secrets, and what patterns of one's own find.
//
// What must hold: what a preset finds is gone from the field, in every case; what surrounds it stays.
package redact
