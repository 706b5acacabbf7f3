// Package dropfields takes fields away. It is drop_fields of Beats.
package dropfields
