// Package includeevent lets only those events pass for which a condition holds.
package includeevent
