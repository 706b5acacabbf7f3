package fileid

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// HeadLen is how many bytes of its first line identify a file.
const HeadLen = 1024

// Birth returns the birth time of f in nanoseconds, 0 where the kernel or the file system does not know it (statx(2)).
func Birth(f *os.File) int64 {
	var sx unix.Statx_t
	err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &sx)
	if err != nil || sx.Mask&unix.STATX_BTIME == 0 {
		return 0
	}
	return sx.Btime.Sec*1e9 + int64(sx.Btime.Nsec)
}

// Head returns the bytes that identify a file: its first line with the newline, cut at HeadLen. whole is false as long as the line is
// not complete.
func Head(f io.ReaderAt) (head []byte, whole bool, err error) {
	b := make([]byte, HeadLen)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, err
	}
	b = b[:n]
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return b[:i+1], true, nil
	}
	return b, n == HeadLen, nil
}

var encoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// Source hashes what identifies a file: host, inode, birth time, first line; and the incarnation, where the file began as before after
// a truncation.
func Source(host string, ino uint64, born int64, head []byte, inc int) string {
	b := append([]byte("tally.file.1\x00"), host...)
	b = append(b, 0)
	b = binary.AppendUvarint(b, ino)
	b = binary.AppendVarint(b, born)
	b = binary.AppendUvarint(b, uint64(inc))
	b = append(b, head...)
	h := sha256.Sum256(b)
	return "file:" + encoding.EncodeToString(h[:15])
}
