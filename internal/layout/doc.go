// Package layout holds the direction of imports: its test reads what every package and both programs import and fails where
// an arrow points the wrong way. Nothing comes out of it but that failure.
package layout
