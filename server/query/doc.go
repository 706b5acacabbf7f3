// Package query is the query language: one parser and syntax tree, and one compiler each to LogsQL (embedded store) and to
// an in-process matcher (live tails).
package query
