package applog

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sys/unix"
)

const (
	headLen   = 1024 // bytes of the first line that identify a file
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
	ToldSkip int64  `json:"told_skip,omitempty"`
	Told     string `json:"told,omitempty"`
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

// birth returns the birth time of f in nanoseconds, 0 where the kernel or the file system does not know it (statx(2)).
func birth(f *os.File) int64 {
	var sx unix.Statx_t
	err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &sx)
	if err != nil || sx.Mask&unix.STATX_BTIME == 0 {
		return 0
	}
	return sx.Btime.Sec*1e9 + int64(sx.Btime.Nsec)
}

var nameEncoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// sourceName hashes what identifies a file: host, inode, birth time, first line; and the incarnation, where the file began as
// before after a truncation.
func sourceName(host string, ino uint64, born int64, head []byte, inc int) string {
	b := append([]byte("tally.file.1\x00"), host...)
	b = append(b, 0)
	b = binary.AppendUvarint(b, ino)
	b = binary.AppendVarint(b, born)
	b = binary.AppendUvarint(b, uint64(inc))
	b = append(b, head...)
	h := sha256.Sum256(b)
	return "file:" + nameEncoding.EncodeToString(h[:15])
}

// readHead returns the bytes that identify a file: its first line with the newline, cut at headLen. whole is false as long as
// the line is not complete.
func readHead(f io.ReaderAt) (head []byte, whole bool, err error) {
	b := make([]byte, headLen)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, err
	}
	b = b[:n]
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return b[:i+1], true, nil
	}
	return b, n == headLen, nil
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
