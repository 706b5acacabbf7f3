// Package rename renames fields; objects with all that is below them. It is rename of Beats.
package rename
