// Package fileid says which source the lines of a file belong to: what identifies one incarnation of a file on one host, whatever its
// path. In comes an open file; out goes the name that positions carry.
//
// What must hold: the same file has the same name after a restart, a rename, and a reboot that changes device numbers; st_dev and the
// names of host and file take no part.
package fileid
