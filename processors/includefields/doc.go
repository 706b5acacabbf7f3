// Package includefields keeps the fields named and drops all others. It is include_fields of Beats.
package includefields
