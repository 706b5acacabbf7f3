// Package filebeat5 translates the filebeat section of Filebeat 1.x, 5.x and 6.x: what 6.0 and 7.0 have renamed or removed.
//
// In comes a section with prospectors and the keys around them; out comes one with inputs, in which events also carry the fields
// that 5.x gave them. What it has of version 7 stays as it is.
package filebeat5
