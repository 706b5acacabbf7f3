package buffer

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// FuzzOpen opens arbitrary bytes as a segment, with another behind it or not. Open and Check must agree, and what Open
// leaves must be clean, replay, and take more.
func FuzzOpen(f *testing.F) {
	s := newSample(f, []string{"one", "", "three, which is longer"}, 0)
	b := s.files[segmentName(1)]
	f.Add(b, true)
	f.Add(b, false)
	f.Add(b[:len(b)-1], false)
	f.Add(b[:dataStart], true)
	f.Add([]byte{}, false)
	gap := append([]byte{}, b[:dataStart]...)
	f.Add(append(gap, b[s.places[3].Offset:]...), false) // begins with the third record
	f.Add(append(b[:len(b):len(b)], b[dataStart:]...), true)
	dir := filepath.Join(tempDir(f), "wal")
	f.Fuzz(func(t *testing.T, b []byte, followed bool) {
		dir := fmt.Sprint(dir, os.Getpid())
		defer os.RemoveAll(dir)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, segmentName(1)), b, 0o600); err != nil {
			t.Fatal(err)
		}
		if followed {
			next := header{salt: 1, first: 5, prev: 4}.block()
			if err := os.WriteFile(filepath.Join(dir, segmentName(5)), append(next, 1), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r, checkErr := Check(dir)
		w, err := Open(dir, Options{})
		if (err == nil) != (checkErr == nil) {
			t.Fatalf("Open: %v, Check: %v", err, checkErr)
		}
		if err != nil {
			return
		}
		defer w.Close()
		if fmt.Sprint(w.Lost()) != fmt.Sprint(r.Lost) {
			t.Fatalf("Open lost %v, Check %v", w.Lost(), r.Lost)
		}
		n := int64(0)
		for range replay(t, w, 0) {
			n++
		}
		if n != r.Records {
			t.Fatalf("%d records replayed, Check counted %d", n, r.Records)
		}
		if w.Last() < maxSeq {
			if l := appendTo(t, w, "more"); l.Seq != w.Last() {
				t.Fatalf("seq %d, last %d", l.Seq, w.Last())
			}
			n++
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r, err = Check(dir)
		if err != nil || !r.Clean() || len(r.Notes) > 0 || r.Records != n {
			t.Fatalf("after Open: %v, %+v", err, r)
		}
	})
}
