// Package split cuts a text into a list.
package split
