// Package plugintest is the test kit for authors of plugins. In a test beside the plugin, one line:
//
//	func TestPlugin(t *testing.T) { plugintest.Check(t, ".", "separator: ';'") }
//
// The program is built where it is a Go package, started as Tally starts it, and held to package contract. Plugin gives a started
// program to tests of one's own.
//
// What must hold: the kit runs the program itself, over the wire, so that it is the same for every language.
package plugintest
