// Package route sets the data stream that an event belongs to.
package route
