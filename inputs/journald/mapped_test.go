package journald

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/logp"
	"golang.org/x/sys/unix"
)

// striking does something to a file between two reads of it, while libsystemd has it mapped.
type striking struct {
	reader
	strike func()
	reads  int
}

func (r *striking) read() ([]byte, error) {
	if r.reads++; r.reads == 3 && r.strike != nil {
		r.strike()
	}
	return r.reader.read()
}

// TestMapped does to an archived file, while it is mapped and half read, what can happen to one on a disk: in each case the process lives
// on, the file that follows is read, and each number is an event or reported. What a removed file holds comes whole.
func TestMapped(t *testing.T) {
	const entries = 20_000
	f := func(name string, strike func(h *os.File, size int64) error, lost, unlost bool) {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each waits for seconds before it gives up what does not come
			path := filepath.Join(t.TempDir(), "system.journal")
			x := new(export)
			x.lines(entries).write(t, path)
			old := rotate(t, path)
			x.lines(100).write(t, path)
			struck := false
			r := start(t, common.MapStr{"paths": []string{path}}, setup{open: func(files []string, at place) (reader, error) {
				r, err := openFiles(files, at)
				if err != nil || struck {
					return r, err
				}
				struck = true
				return &striking{reader: r, strike: func() {
					h, err := os.OpenFile(old, os.O_RDWR, 0)
					if err != nil {
						t.Error(err)
						return
					}
					defer h.Close()
					st, err := h.Stat()
					if err == nil {
						err = strike(h, st.Size())
					}
					if err != nil {
						t.Error(err)
					}
				}}, nil
			}})
			waitFor(t, func() bool {
				r.mu.Lock()
				defer r.mu.Unlock()
				n := len(r.events)
				return n > 0 && positionOf(t, r.events[n-1]).To == entries+101
			})
			r.stop(t)
			n := accounted(t, r, r.events, entries+101)
			if n == 0 && lost || n > 0 && unlost {
				t.Errorf("%d entries are lost", n)
			}
			t.Logf("%d of %d entries lost", n, entries)
		})
	}
	f("cut to nothing", func(h *os.File, _ int64) error { return h.Truncate(0) }, true, false)
	f("cut in the middle", func(h *os.File, size int64) error { return h.Truncate(size / 2) }, true, false)
	f("cut and grown again", func(h *os.File, size int64) error {
		if err := h.Truncate(size / 2); err != nil {
			return err
		}
		return h.Truncate(size)
	}, true, false)
	f("holes punched", func(h *os.File, size int64) error {
		for at := size / 4; at < size; at += size / 8 {
			if err := unix.Fallocate(int(h.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, at, 64<<10); err != nil {
				return err
			}
		}
		return nil
	}, true, false)
	f("all but the header punched", func(h *os.File, size int64) error {
		return unix.Fallocate(int(h.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 4096, size-4096)
	}, true, false)
	f("noise", func(h *os.File, size int64) error {
		noise := make([]byte, 256<<10)
		for i := range noise {
			noise[i] = byte(i*7919>>3) | 0x80
		}
		_, err := h.WriteAt(noise, size/2)
		return err
	}, true, false)
	f("removed", func(h *os.File, _ int64) error { return os.Remove(h.Name()) }, false, true)
}

// TestUnreadableIsRetried: a file that cannot be opened is said with the reason, once, and read when it can be.
func TestUnreadableIsRetried(t *testing.T) {
	if err := logp.DevelopmentSetup(logp.ToObserverOutput()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = logp.DevelopmentSetup() })
	dir := t.TempDir()
	path := filepath.Join(dir, "system.journal")
	new(export).lines(10).write(t, path)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// A directory in its place, so that root cannot read it either.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	r := start(t, common.MapStr{"paths": []string{dir}, "backoff": "10ms"}, setup{})
	said := func() (n int) {
		for _, e := range logp.ObserverLogs().All() {
			if strings.Contains(e.Message, path) {
				n++
			}
		}
		return n
	}
	waitFor(t, func() bool { return said() > 0 })
	tmp := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(tmp, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(tmp, path); err != nil {
		t.Fatal(err)
	}
	wantLines(t, r.wait(t, 10), 0, 10, 1)
	nothing := 0
	for _, e := range logp.ObserverLogs().All() {
		if strings.Contains(e.Message, "There is no journal in") {
			nothing++
		}
	}
	if said() != 1 || nothing != 1 {
		t.Errorf("the file was spoken of %d times, that nothing is there %d times, want once each", said(), nothing)
	}
}
