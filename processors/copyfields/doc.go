// Package copyfields copies fields; objects with all that is below them. It is copy_fields of Beats.
package copyfields
