// Package contract tests a plugin's program against what Tally expects of it: in come the path of the program and its options, out go
// findings in words. Package plugintest makes a test of them, tally plugin check shows them.
//
// What must hold: a program that passes can be used in a pipeline; each finding says what is wrong in words that its author
// understands.
package contract
