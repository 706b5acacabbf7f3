// Package bundle carries many lines of one source in one event of libbeat's pipeline, so that what is the same for all of them is
// processed, queued, and written as JSON once.
//
// An input makes a Bundle of consecutive lines and publishes one event with the fields that they share, the Bundle as its Private.
// An output that knows bundles writes each line as an event of its own; for every other output Expand makes the events, and
// nobody can tell that there was a bundle. The queue counts lines.
//
// Where an input publishes line by line, as Filebeat's do, each line is an event whose Private is a Part, and the queue makes the bundles.
//
// What must hold: a bundle is published only where its event meets no processor that looks at single lines, and where
// every output below either knows bundles or gets expanded events. A bundle never changes once it is published; the fields of its
// event are shared by all of its lines and only read.
package bundle
