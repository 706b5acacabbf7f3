// Package condition decides whether something applies to an event: the conditions of Beats, with their meaning. In comes the YAML
// under when or if, out goes a Condition.
//
// What must hold: on the same event a Condition says what libbeat/conditions says; differ_test.go compares the two. Where libbeat
// ignores a mistake in silence (two conditions side by side, a network given as a number) it is an error here.
package condition
