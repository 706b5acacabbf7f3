// Package querytest holds awkward events, and queries with the events that they select. Whatever answers queries has to give these
// answers: the matcher and the compilers of package query, and each store behind them.
package querytest
