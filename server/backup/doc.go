// Package backup writes a data directory, or a snapshot of one, into a single file and makes a data directory of it again.
//
// The file is a tar archive (POSIX, so that other tools can look inside): the files in the order of their names, and at the end
// MANIFEST.json, which names each with its size and SHA-256, and its own beginning. What must hold:
//
//   - A file that was cut off anywhere, or in which any bit is wrong, is refused, and before anything is restored.
//   - A restore never touches a directory that holds anything, writes nothing outside it, and one that did not finish is known as such:
//     its directory keeps the folder .restoring, with which no server starts.
package backup
