package buffer

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
)

const windowSize = 256 << 10

// window reads a file of known size through a buffer of fixed size, forward for the most part.
type window struct {
	f    io.ReaderAt
	size int64
	buf  []byte // what is held, from off on
	off  int64
}

func newWindow() *window { return &window{buf: make([]byte, 0, windowSize)} }

// reset begins another file.
func (w *window) reset(f io.ReaderAt, size int64) {
	w.f, w.size, w.buf, w.off = f, size, w.buf[:0], 0
}

// chunk returns at least one and at most n bytes from off on, valid until the next call. off must lie before the end.
func (w *window) chunk(off, n int64) ([]byte, error) {
	if off < w.off || off >= w.off+int64(len(w.buf)) {
		if err := w.fill(off); err != nil {
			return nil, err
		}
	}
	b := w.buf[off-w.off:]
	return b[:min(n, int64(len(b)))], nil
}

// at returns exactly n bytes (at most windowSize) from off on, valid until the next call; they must lie in the file.
func (w *window) at(off int64, n int) ([]byte, error) {
	if off < w.off || off+int64(n) > w.off+int64(len(w.buf)) {
		if err := w.fill(off); err != nil {
			return nil, err
		}
	}
	return w.buf[off-w.off:][:n], nil
}

func (w *window) fill(off int64) error {
	b := w.buf[:min(int64(cap(w.buf)), w.size-off)]
	w.buf = w.buf[:0]
	if _, err := w.f.ReadAt(b, off); err != nil {
		return fmt.Errorf("cannot read %d bytes at offset %d: %w", len(b), off, err)
	}
	w.buf, w.off = b, off
	return nil
}

// sum is the CRC32C of n bytes from off on.
func (w *window) sum(off, n int64) (uint32, error) {
	var c uint32
	for n > 0 {
		b, err := w.chunk(off, n)
		if err != nil {
			return 0, err
		}
		c = crc32.Update(c, castagnoli, b)
		off, n = off+int64(len(b)), n-int64(len(b))
	}
	return c, nil
}

// read fills p from off on.
func (w *window) read(p []byte, off int64) error {
	for len(p) > 0 {
		b, err := w.chunk(off, int64(len(p)))
		if err != nil {
			return err
		}
		copy(p, b)
		off, p = off+int64(len(b)), p[len(b):]
	}
	return nil
}

// zero tells whether all bytes from off to the end of the file are zero.
func (w *window) zero(off int64) (bool, error) {
	for off < w.size {
		b, err := w.chunk(off, windowSize)
		if err != nil {
			return false, err
		}
		if len(bytes.TrimLeft(b, "\x00")) > 0 {
			return false, nil
		}
		off += int64(len(b))
	}
	return true, nil
}
