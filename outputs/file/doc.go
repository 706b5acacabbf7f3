// Package file is the agent's output.file, with the options of libbeat's: events are written as lines to a file, which is
// rotated by size. Batches of libbeat's queue come in.
//
// What must hold: nothing is acknowledged that was not written. When a write fails, as on a full disk, the file is cut back to
// where the batch began, over the files that it has filled, and the batch goes back to the pipeline, to be tried again after a back-off;
// so no torn line stays, and nothing is written twice unless the process was killed. "Written" means handed to the operating system: it is
// not synced. A file that was moved or removed meanwhile is opened anew.
package file
