// Package multiline decides which lines of a source belong together: the rules that configurations have under the key multiline,
// with Filebeat's keys and meaning, and ready presets for the stack traces of Java, Python, Go and Node.js.
//
// In come the lines of one stream, one after the other; out comes, for each, whether an event begins with it and whether one
// ends. Who reads keeps the text and the positions: an event may be made of lines that lie apart, when other streams' lines
// are between them.
//
// What must hold: an event is a function of where it begins, the lines behind that, and the cuts that the reader says; so a
// replay from the end of any event cuts the rest as before. Ends that time has decided are such cuts, and are the reader's to
// remember.
package multiline
