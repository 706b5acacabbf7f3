package buffer

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// faulty is a disk that fails when its functions say so; nil means it does not.
type faulty struct {
	file
	write    func(p []byte) (n int, err error) // how many bytes arrive
	sync     func() error
	truncate func() error
}

func (f *faulty) WriteAt(p []byte, off int64) (int, error) {
	if f.write == nil {
		return f.file.WriteAt(p, off)
	}
	n, err := f.write(p)
	if n > 0 {
		if m, err := f.file.WriteAt(p[:n], off); err != nil {
			return m, err
		}
	}
	return n, err
}

func (f *faulty) Sync() error {
	if f.sync != nil {
		if err := f.sync(); err != nil {
			return err
		}
	}
	return f.file.Sync()
}

func (f *faulty) Truncate(size int64) error {
	if f.truncate != nil {
		if err := f.truncate(); err != nil {
			return err
		}
	}
	return f.file.Truncate(size)
}

// disk fails on demand, for every segment of a log.
type disk struct {
	space                 int // bytes that still fit; below 0: all
	failSync, failCut     error
	failSyncs, failWrites int
	failCuts              int
}

// wasCut tells that nothing should be left of failed writes.
func (d *disk) wasCut() bool { return d.failCuts == 0 }

func (d *disk) wrap(f file) file {
	return &faulty{
		file: f,
		write: func(p []byte) (int, error) {
			if d.space < 0 || len(p) <= d.space {
				return len(p), nil
			}
			d.failWrites++
			return d.space, syscall.ENOSPC
		},
		sync: func() error {
			if d.failSync != nil {
				d.failSyncs++
			}
			return d.failSync
		},
		truncate: func() error {
			if d.failCut != nil {
				d.failCuts++
			}
			return d.failCut
		},
	}
}

// TestFaults runs every order of a failing write, sync and cut between good appends, with and without a restart after it.
// What was acknowledged is there, what was not is not, nothing is lost, and no number is given twice.
func TestFaults(t *testing.T) {
	f := func(name string, fail func(d *disk), restart bool, wantErr error) {
		t.Helper()
		dir := tempDir(t)
		d := &disk{space: -1}
		o := Options{wrap: d.wrap}
		w := open(t, dir, o)
		want := map[uint64]string{}
		good := func(p string) {
			t.Helper()
			l := appendTo(t, w, p)
			if _, ok := want[l.Seq]; ok {
				t.Fatalf("%s: number %d was given twice", name, l.Seq)
			}
			want[l.Seq] = p
		}
		good("one")
		good("two")
		for round := range 3 {
			fail(d)
			for i := range 2 {
				if _, err := w.Append(bytes.Repeat([]byte("failing "), 200<<round), []byte("x")); !errors.Is(err, wantErr) {
					t.Fatalf("%s: error %v, want %v", name, err, wantErr)
				}
				if i == 0 && round > 0 {
					break
				}
			}
			if d.failWrites+d.failSyncs == 0 {
				t.Fatalf("%s: nothing failed", name)
			}
			*d = disk{space: -1, failCuts: d.failCuts}
			if restart {
				closeWAL(t, w)
				w = open(t, dir, o)
				if len(w.Lost()) > 0 {
					t.Fatalf("%s: lost %v", name, w.Lost())
				}
			}
			good(fmt.Sprint("after ", round))
			good(fmt.Sprint("again ", round))
		}
		closeWAL(t, w)
		r := wantClean(t, dir)
		if len(r.Lost) > 0 || len(r.Notes) > 0 && d.wasCut() {
			t.Fatalf("%s: lost %v, notes %v", name, r.Lost, r.Notes)
		}
		w = open(t, dir, Options{})
		wantRecords(t, w, 0, want)
	}
	bad := errors.New("the cable is loose")
	for _, restart := range []bool{false, true} {
		for _, space := range []int{0, 1, frameSize, 100, 1500} {
			f(fmt.Sprint("no space after ", space), func(d *disk) { d.space = space }, restart, ErrNoSpace)
			f(fmt.Sprint("no space, no cut after ", space), func(d *disk) { d.space, d.failCut = space, bad }, restart, ErrNoSpace)
		}
		f("sync", func(d *disk) { d.failSync = bad }, restart, bad)
		f("sync without space", func(d *disk) { d.failSync = syscall.EDQUOT }, restart, ErrNoSpace)
	}
	// Without the cut the records lie there whole; the next segment's header tells that they do not count.
	f("sync and cut", func(d *disk) { d.failSync, d.failCut = bad, bad }, false, bad)
}

// TestKillAfterFailedSync: the next segment tells which numbers were never acknowledged. Where a kill leaves that segment
// without its header, they are still not lost, and not used again.
func TestKillAfterFailedSync(t *testing.T) {
	f := func(what string, change func(dir string) error, want map[uint64]string, next uint64) {
		t.Helper()
		dir := tempDir(t)
		d := &disk{space: -1}
		w := open(t, dir, Options{wrap: d.wrap})
		appendTo(t, w, "one")
		d.failSync = errors.New("bad block")
		for range 3 {
			if _, err := w.Append([]byte("dropped")); !errors.Is(err, d.failSync) {
				t.Fatal(err)
			}
		}
		d.failSync = nil
		appendTo(t, w, "five")
		closeWAL(t, w)
		if err := change(dir); err != nil {
			t.Fatal(err)
		}
		w = open(t, dir, Options{})
		if len(w.Lost()) > 0 {
			t.Fatalf("%s: lost %v", what, w.Lost())
		}
		if l := appendTo(t, w, "more"); l.Seq != next {
			t.Fatalf("%s: seq %d, want %d", what, l.Seq, next)
		}
		want[next] = "more"
		closeWAL(t, w)
		if r := wantClean(t, dir); len(r.Lost) > 0 {
			t.Fatalf("%s: lost %v", what, r.Lost)
		}
		wantRecords(t, open(t, dir, Options{}), 0, want)
	}
	f("nothing", func(string) error { return nil }, map[uint64]string{1: "one", 5: "five"}, 6)
	f("torn header", func(dir string) error {
		return os.Truncate(segmentPath(dir, 5), 10)
	}, map[uint64]string{1: "one"}, 5)
	f("an attempt that was not removed", func(dir string) error {
		return os.WriteFile(segmentPath(dir, 4), nil, 0o600)
	}, map[uint64]string{1: "one", 5: "five"}, 6)
}

// TestFailedSyncFailsAll: everyone who waits on a failed sync gets the error, and those acknowledged before stay.
func TestFailedSyncFailsAll(t *testing.T) {
	dir := tempDir(t)
	d := &disk{space: -1}
	w := open(t, dir, Options{wrap: d.wrap})
	appendTo(t, w, "kept")
	bad := errors.New("bad block")
	d.failSync = bad
	var waits []func() error
	for range 5 {
		_, wait, err := w.Write([]byte("dropped"))
		if err != nil {
			t.Fatal(err)
		}
		waits = append(waits, wait)
	}
	for i, wait := range waits {
		if err := wait(); !errors.Is(err, bad) {
			t.Fatalf("wait %d: %v", i, err)
		}
	}
	if st := w.Stats(); st.Fsyncs != 2 {
		t.Fatalf("%d syncs acknowledged or refused something, want 2", st.Fsyncs)
	}
	d.failSync = nil
	if err := waits[0](); !errors.Is(err, bad) {
		t.Fatalf("asked again on a disk that is well: %v", err)
	}
}

// TestFullDisk fills a real file system.
func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Log("not root, so without a file system of its own; TestFaults injects the same errors")
		return
	}
	mount := t.TempDir()
	if err := syscall.Mount("tally-test", mount, "tmpfs", 0, "size=8m"); err != nil {
		t.Logf("cannot mount a tmpfs here (%v); TestFaults injects the same errors", err)
		return
	}
	defer syscall.Unmount(mount, syscall.MNT_DETACH)
	ballast := filepath.Join(mount, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 3<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(mount, "wal")
	w := open(t, dir, Options{SegmentBytes: 1 << 20})
	want := map[uint64]string{}
	fill := func() {
		t.Helper()
		for i := 0; ; i++ {
			p := strings.Repeat(fmt.Sprintf("%06d ", i), 10_000)
			l, err := w.Append([]byte(p))
			if errors.Is(err, ErrNoSpace) && i > 5 {
				return
			}
			if err != nil || i > 200 {
				t.Fatalf("Append %d: %v", i, err)
			}
			want[l.Seq] = p
		}
	}
	fill()
	if _, err := w.Append(make([]byte, 1<<20)); !errors.Is(err, ErrNoSpace) {
		t.Fatalf("on a full disk: %v", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	fill()
	closeWAL(t, w)
	if r := wantClean(t, dir); len(r.Lost) > 0 {
		t.Fatalf("lost %v", r.Lost)
	}
	w = open(t, dir, Options{SegmentBytes: 1 << 20})
	wantRecords(t, w, 0, want)
	if err := w.Truncate(w.Last() / 2); err != nil {
		t.Fatal(err)
	}
	appendTo(t, w, "room again")
	closeWAL(t, w)
}
