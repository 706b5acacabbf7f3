// Package convert changes the kind of fields: text to number, and so on. It is convert of Beats.
package convert
