package applog

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sys/unix"
)

const (
	windowLen = 1024 // bytes before the offset that are checked
	// evidence is how many equal bytes make a file a copy of one that is still there. Two different files may well begin
	// with the same banner.
	evidence = 128
)

// record is what the registry keeps of a source, under keyPrefix and the source's name.
type record struct {
	Source  string  `json:"source"`
	Path    string  `json:"path"`
	Inode   uint64  `json:"inode"`
	Born    int64   `json:"born,omitempty"` // birth time in nanoseconds, 0 where the file system has none
	Head    uint64  `json:"head"`           // hash of the first HeadLen bytes: the first line, or as much of it as identifies
	HeadLen int     `json:"head_len"`
	Inc     int     `json:"incarnation,omitempty"` // counts truncations after which the file began as before
	Offset  int64   `json:"offset"`                // everything before it is acknowledged, or was skipped
	Shipped int64   `json:"shipped"`               // end of the last event acknowledged; [Shipped, Offset) was skipped
	Anchor  int64   `json:"anchor"`                // at or before Offset
	Sum     uint64  `json:"sum"`                   // hash of the windowLen bytes before Anchor
	Cuts    []int64 `json:"cuts,omitempty"`        // ends of lines, beyond Offset, that were decided by time
	Seen    int64   `json:"seen"`                  // when the file was last known to be there, seconds
	Done    bool    `json:"done,omitempty"`        // nothing more will come: removed, or read to the end of its copy
	Lost    string  `json:"lost,omitempty"`        // why what follows Offset cannot be read any more
	// What Tally has acknowledged to know: that so far from the end of the last event on was skipped, and what has become of
	// the end (toldEnd, toldLost).
	ToldSkip int64      `json:"told_skip,omitempty"`
	TooLong  [][2]int64 `json:"too_long,omitempty"` // rests of lines that were cut, which Tally does not know yet
	Skips    [][2]int64 `json:"skips,omitempty"`    // what processors dropped when something behind it was shipped, likewise
	Told     string     `json:"told,omitempty"`
}

const keyPrefix = "applog/"

// inode names a file while the process lives. The device takes no part in what is written to the registry, because it may
// change at every boot.
type inode struct{ dev, ino uint64 }

// fact is what the kernel says about an open file.
type fact struct {
	inode
	size  int64
	mtime int64 // nanoseconds
	links uint64
}

func stat(f *os.File) (fact, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fact{}, err
	}
	return fact{
		inode: inode{uint64(st.Dev), st.Ino}, size: st.Size, mtime: st.Mtim.Nano(), links: uint64(st.Nlink),
	}, nil
}

// window returns the hash of the bytes before at. ok is false where the file does not have them.
func window(f io.ReaderAt, at int64) (sum uint64, ok bool) {
	b := make([]byte, min(at, windowLen))
	n, err := f.ReadAt(b, at-int64(len(b)))
	if n < len(b) || (err != nil && !errors.Is(err, io.EOF)) {
		return 0, false
	}
	return xxhash.Sum64(b), true
}

// sameHead says whether a file begins as r does.
func (r *record) sameHead(f io.ReaderAt) bool {
	b := make([]byte, r.HeadLen)
	n, _ := f.ReadAt(b, 0)
	return n == len(b) && xxhash.Sum64(b) == r.Head
}

// continues says whether a file holds the same bytes as r up to its offset, as far as its head and its window tell.
func (r *record) continues(f io.ReaderAt, size int64) bool {
	if size < r.Offset || !r.sameHead(f) {
		return false
	}
	sum, ok := window(f, r.Anchor)
	return ok && (sum == r.Sum || r.Anchor == 0)
}

// related says whether one of two files may be a rotated copy of the other: same directory, and one name begins with the
// other's up to the first dot.
func related(a, b string) bool {
	if filepath.Dir(a) != filepath.Dir(b) {
		return false
	}
	a, b = filepath.Base(a), filepath.Base(b)
	sa, _, _ := strings.Cut(strings.TrimPrefix(a, "."), ".")
	sb, _, _ := strings.Cut(strings.TrimPrefix(b, "."), ".")
	return strings.HasPrefix(sa, sb) || strings.HasPrefix(sb, sa)
}
