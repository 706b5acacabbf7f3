// Package strictyaml fills Go values from YAML so strictly that nothing is ignored in silence. In comes the text of a file, out
// go structs, or Nodes that know their file, line and key.
//
// What must hold: an unknown key, a key that stands twice, a missing required key and a value of the wrong type are errors that
// name file, line and key. The server's configuration and the processors read their YAML through here. It imports nothing
// of this module.
package strictyaml
