package buffer

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"github.com/tallylog/tally/internal/durable"
)

const quarantineName = "quarantine"

// mend makes the segments such that another scan finds nothing, and knows what was lost. It returns a sentence for each
// thing done. Damaged bytes are copied to dir/quarantine, durably, before anything is written in their place; bytes of
// whole records are never touched. A crash in between leaves a part of the findings to the next time.
func (s *scan) mend() (done []string, err error) {
	for i := range s.findings {
		f := &s.findings[i]
		what, err := s.mendOne(f)
		if err != nil {
			return done, fmt.Errorf("cannot mend segment %q at offset %d: %w", f.seg.name(), f.Offset, noSpace(err))
		}
		done = append(done, fmt.Sprintf("%s at offset %d: %s (%s)", f.seg.name(), f.Offset, what, f.Reason))
	}
	if len(s.findings) > 0 {
		return done, durable.SyncDir(s.dir)
	}
	return nil, nil
}

func (s *scan) mendOne(f *finding) (what string, err error) {
	path := segmentPath(s.dir, f.seg.first)
	switch f.kind {
	case dropSegment:
		return "file removed", os.Remove(path)
	case replaceFile:
		return s.replace(f)
	}
	w, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	switch f.kind {
	case cutTail:
		what, err = fmt.Sprintf("%d bytes cut", f.Length), w.Truncate(f.Offset)
		f.seg.size = f.Offset
	case writeHeader:
		what = "header written again from its copy"
		_, err = w.WriteAt(f.seg.block(), 0)
	case writeHead, writeTail:
		what = "frame written again from its copy"
		err = putFrame(w, f.frame, f.Offset, f.seg.salt)
	case markRegion:
		what, err = s.mark(w, f)
	case markEnd:
		what, err = s.markEnd(w, f)
	}
	if err != nil {
		return "", err
	}
	return what, w.Sync()
}

func putFrame(w io.WriterAt, f frame, off int64, salt uint32) error {
	var b [frameSize]byte
	f.put(b[:], salt)
	_, err := w.WriteAt(b[:], off)
	return err
}

// putLost writes both frames of a lost record of the given extent. Either is enough to find it.
func putLost(w io.WriterAt, salt uint32, off, extent int64, first, last uint64) error {
	if extent-overhead > math.MaxUint32 {
		return fmt.Errorf("%d damaged bytes are more than one record can stand for", extent)
	}
	f := frame{lost: true, size: uint32(extent - overhead), seq: first, last: last, tail: true}
	if err := putFrame(w, f, off+extent-frameSize, salt); err != nil {
		return err
	}
	f.tail = false
	return putFrame(w, f, off, salt)
}

// mark puts a lost record in place of a damaged region.
func (s *scan) mark(w *os.File, f *finding) (string, error) {
	where, err := s.quarantine(w, f)
	if err != nil {
		return "", err
	}
	return lostWhat(f, where), putLost(w, f.seg.salt, f.Offset, f.Length, f.First, f.Last)
}

// markEnd puts a lost record in place of everything to the end of the segment. It must not cut the bytes first: a crash in
// between would leave a segment that looks whole, and the sequence numbers would be used again.
func (s *scan) markEnd(w *os.File, f *finding) (where string, err error) {
	if f.Length > 0 {
		if where, err = s.quarantine(w, f); err != nil {
			return "", err
		}
	}
	extent := f.Length
	if extent < overhead { // never in the last segment; the next one's header tells what was here
		extent = overhead
		if err := w.Truncate(f.Offset); err != nil {
			return "", err
		}
	}
	f.seg.end = f.Offset + extent
	f.seg.size = f.seg.end
	return lostWhat(f, where), putLost(w, f.seg.salt, f.Offset, extent, f.First, f.Last)
}

// replace puts a file with one lost record in place of a segment without a header.
func (s *scan) replace(f *finding) (string, error) {
	path := segmentPath(s.dir, f.seg.first)
	old, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer old.Close()
	where, err := s.quarantine(old, f)
	if err != nil {
		return "", err
	}
	if f.seg.salt, err = newSalt(); err != nil {
		return "", err
	}
	f.seg.end = dataStart + overhead
	f.seg.size = f.seg.end
	// A crash before the rename leaves the old file, and another beside it that is no segment by its name.
	w, err := os.OpenFile(path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", err
	}
	defer w.Close()
	if _, err := w.WriteAt(f.seg.block(), 0); err != nil {
		return "", err
	}
	if err := putLost(w, f.seg.salt, dataStart, overhead, f.First, f.Last); err != nil {
		return "", err
	}
	if err := w.Sync(); err != nil {
		return "", err
	}
	return lostWhat(f, where), os.Rename(path+".new", path)
}

func lostWhat(f *finding, where string) string {
	what := fmt.Sprintf("sequence numbers %d to %d marked as lost", f.First, f.Last)
	if f.Last < f.First {
		what = "no sequence number lost"
	}
	if where != "" {
		what += ", bytes kept in " + where
	}
	return what
}

// quarantine copies the damaged bytes of f to a file of their own, and returns its path below the log's directory.
func (s *scan) quarantine(from io.ReaderAt, f *finding) (where string, err error) {
	dir := filepath.Join(s.dir, quarantineName)
	if err := makeDir(dir); err != nil {
		return "", err
	}
	name := fmt.Sprintf("%s.%d", f.seg.name(), f.Offset)
	var w *os.File
	for i := 0; w == nil; i++ {
		where = name
		if i > 0 { // the same place was damaged before
			where = fmt.Sprintf("%s.%d", name, i)
		}
		w, err = os.OpenFile(filepath.Join(dir, where), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil && !errors.Is(err, os.ErrExist) {
			return "", err
		}
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if _, err := io.Copy(w, io.NewSectionReader(from, f.Offset, f.Length)); err != nil {
		return "", errors.Join(err, os.Remove(w.Name()))
	}
	if err := w.Sync(); err != nil {
		return "", err
	}
	return filepath.Join(quarantineName, where), durable.SyncDir(dir)
}

// newSalt returns a number that no client can know.
func newSalt() (uint32, error) {
	var b [4]byte
	if _, err := rand.Read(b[:]); err != nil {
		return 0, fmt.Errorf("cannot draw a random number: %w", err)
	}
	return binary.LittleEndian.Uint32(b[:]), nil
}
