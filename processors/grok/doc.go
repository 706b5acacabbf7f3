// Package grok takes texts apart by grok patterns: the pattern library and the results are those of github.com/elastic/go-grok.
// In come patterns, out go named fields with types.
//
// A pattern is expanded to a regular expression and compiled by regexp/syntax. Its program is run by a matcher of our own
// (program.go, match.go) which tries alternatives in the order of their priority, as Perl does, and so finds the same match as
// package regexp, only faster: it looks at the next byte before it chooses, runs over character classes in one loop, and never
// goes back where the classes before and after have no byte in common. Its work is bounded by a small multiple of the length of
// the text; where that does not suffice, package regexp does the match in linear time.
//
// What must hold: the result is that of go-grok, whatever the pattern and the text. differ_test.go compares the two.
package grok
