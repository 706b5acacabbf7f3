// Package addfields sets fields to fixed values. It is add_fields of Beats.
package addfields
