// Package changecase writes texts in lower or upper case: the processors lowercase and uppercase.
package changecase
