// Package processortest is the kit that every processor's test runs: rows of configuration, event and result, and a check of
// what all processors promise. It is public, so that processors from elsewhere can be held to the same.
package processortest
