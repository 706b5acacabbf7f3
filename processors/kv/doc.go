// Package kv finds pairs of keys and values in a text: logfmt, query strings, and the like.
package kv
