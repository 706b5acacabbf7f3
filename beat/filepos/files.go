package filepos

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sys/unix"

	"github.com/elastic/beats/v7/libbeat/beat"

	"github.com/tallylog/tally/inputs/fileid"
)

const (
	// maxFiles bounds the files that are remembered. One that was forgotten is opened again at its next event.
	maxFiles = 50_000
	// again is how long a file that could not be identified is left alone.
	again = 10 * time.Second
)

// files are those whose events have passed.
type files struct {
	host  string
	mu    sync.Mutex
	known map[string]*knownFile
}

// knownFile is one incarnation of a file.
type knownFile struct {
	source  string // empty where it could not be identified
	tried   time.Time
	last    int64 // end of the last event, dropped or not
	shipped int64 // end of the last event that no processor dropped
}

// position gives the file that an event is from, with what was left out before; no file where it is not certain which it is.
func (s *files) position(at place, e *beat.Event) (f *knownFile, skipped int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f = s.known[at.key]
	if f != nil && at.from < f.last { // truncated, or another file: what is read now is another source
		f = nil
	}
	if f == nil || f.source == "" && time.Since(f.tried) > again {
		s.mu.Unlock()
		f = &knownFile{source: s.identify(at, e), tried: time.Now(), shipped: at.from}
		s.mu.Lock()
		if f.source != "" {
			f.shipped = 0 // everything before counts as skipped
		}
		s.keep(at.key, f)
	}
	f.last = at.to
	if f.source == "" {
		return nil, 0
	}
	return f, at.from - f.shipped
}

func (s *files) shipped(f *knownFile, to int64) {
	s.mu.Lock()
	f.shipped = to
	s.mu.Unlock()
}

// keep remembers a file. s.mu is held.
func (s *files) keep(key string, f *knownFile) {
	if len(s.known) >= maxFiles {
		for k := range s.known { // any one
			delete(s.known, k)
			if len(s.known) < maxFiles*9/10 {
				break
			}
		}
	}
	s.known[key] = f
}

// identify opens the file that an event is from and gives its source; empty where it cannot be found any more.
func (s *files) identify(at place, e *beat.Event) string {
	at.native()
	f := open(at, e)
	if f == nil {
		return ""
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return ""
	}
	head, _, err := fileid.Head(f)
	if err != nil || len(head) == 0 {
		return ""
	}
	return fileid.Source(s.host, st.Ino, fileid.Birth(f), head, 0)
}

// open finds the file by its path; else, by its inode, under another name beside it, or, where it was removed, among those that
// this process has open.
func open(at place, e *beat.Event) *os.File {
	paths := []string{at.path}
	if at.inode != 0 {
		for _, dir := range []string{filepath.Dir(at.path), "/proc/self/fd"} {
			entries, _ := os.ReadDir(dir)
			for _, x := range entries {
				paths = append(paths, filepath.Join(dir, x.Name()))
			}
		}
	}
	for _, p := range paths {
		if st, err := os.Stat(p); err != nil || !st.Mode().IsRegular() || at.inode != 0 && inode(st) != at.inode {
			continue
		}
		f, err := os.Open(p)
		if err != nil {
			continue
		}
		if at.is(f, e) {
			return f
		}
		f.Close()
	}
	return nil
}

// is tells whether f is the file that the event was read from: it has the inode that Filebeat goes by, or else the line stands where
// it was read.
func (at place) is(f *os.File, e *beat.Event) bool {
	st, err := f.Stat()
	if err != nil || st.Size() < at.to {
		return false
	}
	if at.inode != 0 {
		return inode(st) == at.inode
	}
	message, ok := e.Fields["message"].(string)
	if !ok || message == "" || at.to-at.from > 1<<20 {
		return false
	}
	b := make([]byte, at.to-at.from)
	if _, err := io.ReadFull(io.NewSectionReader(f, at.from, int64(len(b))), b); err != nil {
		return false
	}
	return bytes.Contains(b, []byte(message))
}

func inode(st os.FileInfo) uint64 {
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		return sys.Ino
	}
	return 0
}

// sum is the checksum of the line as applog has it where the message is the line; of what was made of it where it is not.
func sum(at place, e *beat.Event) (h uint64) {
	message, ok := e.Fields["message"].(string)
	switch rest := at.to - at.from - int64(len(message)); {
	case ok && (rest == 1 || rest == 2):
		var d xxhash.Digest
		d.Reset()
		_, _ = d.WriteString(message)
		_, _ = d.WriteString("\r\n"[2-rest:])
		h = d.Sum64()
	case ok:
		h = xxhash.Sum64String(message)
	default:
		fields := maps.Clone(e.Fields)
		delete(fields, "log") // its path changes with the name of the file
		text, err := json.Marshal(fields)
		if err != nil {
			text = []byte(fields.String())
		}
		h = xxhash.Sum64(text)
	}
	return h
}
