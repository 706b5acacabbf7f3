package buffer

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func open(t testing.TB, dir string, o Options) *WAL {
	t.Helper()
	w, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// tempDir is a directory in memory where the system has one: thousands of small logs are synced to it, and what is tested
// with it is what the log does, not what the disk does.
func tempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "tally-buffer-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func closeWAL(t testing.TB, w *WAL) {
	t.Helper()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func appendTo(t testing.TB, w *WAL, payload string) Location {
	t.Helper()
	l, err := w.Append([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// replay returns the records above after.
func replay(t testing.TB, w *WAL, after uint64) map[uint64]string {
	t.Helper()
	got := map[uint64]string{}
	last := after
	err := w.Replay(after, func(l Location, p []byte) error {
		if l.Seq <= last || l.Len != len(p) {
			t.Fatalf("record %+v with %d bytes came after %d", l, len(p), last)
		}
		last = l.Seq
		got[l.Seq] = string(p)
		if again, err := w.Read(l); err != nil || !bytes.Equal(again, p) {
			t.Fatalf("Read(%+v): %d bytes, %v; Replay gave %d", l, len(again), err, len(p))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func wantRecords(t testing.TB, w *WAL, after uint64, want map[uint64]string) {
	t.Helper()
	got := replay(t, w, after)
	for seq, p := range want {
		if g, ok := got[seq]; !ok || g != p {
			t.Fatalf("record %d: there %v, %d bytes, want %d", seq, ok, len(g), len(p))
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
}

func wantClean(t testing.TB, dir string) Report {
	t.Helper()
	r, err := Check(dir)
	if err != nil || !r.Clean() {
		t.Fatalf("Check: %v, damage %v", err, r.Damage)
	}
	return r
}

// segmentNames lists the segments in dir.
func segmentNames(t testing.TB, dir string) []string {
	t.Helper()
	firsts, err := list(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, first := range firsts {
		names = append(names, segmentName(first))
	}
	return names
}

func TestRoundTrip(t *testing.T) {
	dir := t.TempDir() + "/wal"
	want := map[uint64]string{}
	w := open(t, dir, Options{SegmentBytes: 20000})
	if w.Last() != 0 || w.Bytes() != 0 {
		t.Fatalf("a new log has last %d, %d bytes", w.Last(), w.Bytes())
	}
	rnd := rand.New(rand.NewSource(1))
	for i := range 50 {
		p := make([]byte, rnd.Intn(3000))
		if i == 20 {
			p = make([]byte, 300<<10) // more than any buffer in the way
		}
		rnd.Read(p)
		cut := rnd.Intn(len(p) + 1)
		l, err := w.Append(p[:cut], nil, p[cut:])
		if err != nil || l.Seq != uint64(i+1) || l.Len != len(p) {
			t.Fatalf("Append %d: %+v, %v", i, l, err)
		}
		want[l.Seq] = string(p)
		if got, err := w.Read(l); err != nil || !bytes.Equal(got, p) {
			t.Fatalf("Read(%+v): %v", l, err)
		}
	}
	st, bytes := w.Stats(), w.Bytes()
	if st.Appends != 50 || st.Fsyncs < 50 || st.Segments < 3 || st.LastFsync <= 0 || int64(st.Bytes) != bytes-int64(st.Segments)*dataStart {
		t.Fatalf("stats %+v with %d bytes", st, bytes)
	}
	closeWAL(t, w)
	if _, err := w.Append(nil); !errors.Is(err, ErrClosed) {
		t.Fatalf("Append after Close: %v", err)
	}
	if r := wantClean(t, dir); r.Records != 50 || r.Segments != st.Segments || r.Bytes != bytes || len(r.Notes) > 0 {
		t.Fatalf("report %+v", r)
	}
	w = open(t, dir, Options{})
	if w.Last() != 50 || w.Bytes() != bytes || len(w.Lost()) > 0 {
		t.Fatalf("reopened: last %d, %d bytes, lost %v", w.Last(), w.Bytes(), w.Lost())
	}
	wantRecords(t, w, 0, want)
	for seq := range want {
		if seq <= 33 {
			delete(want, seq)
		}
	}
	wantRecords(t, w, 33, want)
	stop := errors.New("stop")
	if err := w.Replay(0, func(Location, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Fatalf("Replay: %v, want the callback's error", err)
	}
}

// TestModel runs random appends, truncations and reopenings against a map.
func TestModel(t *testing.T) {
	base, runs := tempDir(t), 0
	rapid.Check(t, func(rt *rapid.T) {
		dir := filepath.Join(base, fmt.Sprint(runs))
		runs++
		o := Options{SegmentBytes: rapid.Int64Range(1, 12000).Draw(rt, "segment")}
		w := open(t, dir, o)
		model := map[uint64]string{}
		last := uint64(0)
		rt.Repeat(map[string]func(*rapid.T){
			"append": func(rt *rapid.T) {
				p := rapid.StringN(-1, -1, 2000).Draw(rt, "payload")
				l := appendTo(t, w, p)
				if last++; l.Seq != last {
					rt.Fatalf("seq %d, want %d", l.Seq, last)
				}
				model[last] = p
			},
			"truncate": func(rt *rapid.T) {
				upto := rapid.Uint64Range(0, last).Draw(rt, "upto")
				if err := w.Truncate(upto); err != nil {
					rt.Fatal(err)
				}
			},
			"reopen": func(rt *rapid.T) {
				closeWAL(t, w)
				w = open(t, dir, o)
				if w.Last() != last || len(w.Lost()) > 0 {
					rt.Fatalf("last %d, want %d; lost %v", w.Last(), last, w.Lost())
				}
				first, _ := parseName(append(segmentNames(t, dir), segmentName(1))[0])
				want := map[uint64]string{}
				for seq, p := range model {
					if seq >= first {
						want[seq] = p
					}
				}
				wantRecords(t, w, 0, want)
			},
		})
		closeWAL(t, w)
		wantClean(t, dir)
	})
}

func TestTruncate(t *testing.T) {
	dir := tempDir(t)
	w := open(t, dir, Options{SegmentBytes: dataStart + 1}) // every record a segment
	for i := range 6 {
		appendTo(t, w, fmt.Sprint("record ", i+1))
	}
	f := func(upto uint64, first uint64, left int) {
		t.Helper()
		if err := w.Truncate(upto); err != nil {
			t.Fatal(err)
		}
		names := segmentNames(t, dir)
		if len(names) != left || names[0] != segmentName(first) || w.Stats().Segments != left {
			t.Fatalf("after Truncate(%d): %v, %+v", upto, names, w.Stats())
		}
	}
	f(0, 1, 6)
	f(2, 3, 4)
	f(100, 6, 1) // the active one stays
	if _, err := w.Read(Location{Seq: 2, Segment: 2, Offset: dataStart, Len: 8}); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("Read of a truncated record: %v", err)
	}
	// A large active segment goes too, and the numbers go on.
	closeWAL(t, w)
	w = open(t, dir, Options{})
	appendTo(t, w, string(make([]byte, keepActive)))
	f(6, 6, 1)
	f(7, 8, 1)
	if w.Bytes() != dataStart {
		t.Fatalf("%d bytes left", w.Bytes())
	}
	closeWAL(t, w)
	w = open(t, dir, Options{})
	if l := appendTo(t, w, "x"); l.Seq != 8 || len(w.Lost()) > 0 {
		t.Fatalf("seq %d after a truncation of all, lost %v", l.Seq, w.Lost())
	}
}

func TestMaxBytes(t *testing.T) {
	dir := tempDir(t)
	const bound = 100_000
	w := open(t, dir, Options{MaxBytes: bound})
	p := make([]byte, 1000)
	fill := func() {
		t.Helper()
		for i := 0; ; i++ {
			_, err := w.Append(p)
			if errors.Is(err, ErrFull) && i > 50 {
				break
			}
			if err != nil || i > 100 {
				t.Fatalf("Append %d: %v", i, err)
			}
		}
		if w.Bytes() > bound || w.Bytes() < bound-2*dataStart {
			t.Fatalf("%d bytes, the bound is %d", w.Bytes(), bound)
		}
	}
	fill()
	if err := w.Truncate(w.Last()); err != nil {
		t.Fatal(err)
	}
	fill()
	if _, err := w.Append(make([]byte, bound*3/4)); err == nil || errors.Is(err, ErrFull) {
		t.Fatalf("a record that no Truncate makes room for: %v", err)
	}
}

func TestMaxRecord(t *testing.T) {
	w := open(t, tempDir(t), Options{MaxRecord: 10})
	if _, err := w.Append(make([]byte, 6), make([]byte, 5)); err == nil {
		t.Fatal("11 bytes were taken")
	}
	if l := appendTo(t, w, "0123456789"); l.Seq != 1 {
		t.Fatalf("seq %d: the refused record took a number", l.Seq)
	}
}

func TestLock(t *testing.T) {
	dir := tempDir(t)
	w := open(t, dir, Options{})
	appendTo(t, w, "x")
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrLocked) {
		t.Fatalf("second Open: %v", err)
	}
	if _, err := Check(dir); !errors.Is(err, ErrLocked) {
		t.Fatalf("Check: %v", err)
	}
	if _, err := Repair(dir); !errors.Is(err, ErrLocked) {
		t.Fatalf("Repair: %v", err)
	}
	closeWAL(t, w)
	wantClean(t, dir)
	if _, err := Check(dir + "/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("Check of nothing: %v", err)
	}
}

func TestAfter(t *testing.T) {
	dir := tempDir(t)
	w := open(t, dir, Options{})
	appendTo(t, w, "one")
	closeWAL(t, w)
	w = open(t, dir, Options{After: 10})
	if l := appendTo(t, w, "eleven"); l.Seq != 11 {
		t.Fatalf("seq %d, want 11", l.Seq)
	}
	closeWAL(t, w)
	w = open(t, dir, Options{})
	wantRecords(t, w, 0, map[uint64]string{1: "one", 11: "eleven"})
	if len(w.Lost()) > 0 {
		t.Fatalf("lost %v", w.Lost())
	}
}

func TestConcurrent(t *testing.T) {
	dir := tempDir(t)
	slow := make(chan struct{}) // the first sync waits until all others have written
	var once sync.Once
	w := open(t, dir, Options{SegmentBytes: 100_000, wrap: func(f file) file {
		return &faulty{file: f, sync: func() error { once.Do(func() { <-slow }); return nil }}
	}})
	const writers, each = 8, 100
	var mu sync.Mutex
	want := map[uint64]string{}
	var order []uint64
	var wg sync.WaitGroup
	write := func(p string) func() error {
		mu.Lock()
		defer mu.Unlock()
		l, wait, err := w.Write([]byte(p))
		if err != nil {
			t.Error(err)
			return func() error { return nil }
		}
		want[l.Seq] = p
		order = append(order, l.Seq)
		return wait
	}
	var begun sync.WaitGroup
	begun.Add(writers)
	for k := range writers {
		wg.Go(func() {
			for i := range each {
				wait := write(fmt.Sprintf("%d %d %0*d", k, i, i*7, 0))
				if i == 0 {
					begun.Done()
				}
				if err := wait(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	begun.Wait()
	close(slow)
	wg.Wait()
	if !slices.IsSorted(order) || len(order) != writers*each {
		t.Fatalf("%d numbers, in order %v", len(order), slices.IsSorted(order))
	}
	if st := w.Stats(); st.Fsyncs >= st.Appends {
		t.Fatalf("%d syncs for %d appends", st.Fsyncs, st.Appends)
	}
	closeWAL(t, w)
	wantRecords(t, open(t, dir, Options{}), 0, want)
}
