package journald

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

func span(head, tail, entries uint64) *file {
	return &file{header: header{head: head, tail: tail, entries: entries}, inode: inode{head, tail}}
}

func TestExplain(t *testing.T) {
	f := func(lo, hi uint64, wanted, others []*file, bad *file, want ...segment) {
		t.Helper()
		got := explain(lo, hi, wanted, others, func(f *file) bool { return f == bad })
		if !reflect.DeepEqual(got, want) {
			t.Errorf("[%d, %d) is explained as %v, want %v", lo, hi, got, want)
		}
	}
	files := func(fs ...*file) []*file { return fs }
	f(5, 10, nil, nil, nil, segment{5, 10, Vacuumed})
	f(5, 10, files(span(1, 20, 15)), nil, nil, segment{5, 10, ""})
	f(5, 10, files(span(1, 20, 20)), nil, nil, segment{5, 10, Corrupt})
	f(5, 30, files(span(20, 40, 10)), nil, nil, segment{5, 20, Vacuumed}, segment{20, 30, ""})
	f(5, 30, files(span(1, 9, 8), span(20, 40, 10)), nil, nil, segment{5, 10, ""}, segment{10, 20, Vacuumed}, segment{20, 30, ""})
	// The system's and a user's journal have all numbers between them, so that a missing one was an entry.
	f(5, 6, files(span(1, 10, 6), span(3, 9, 4)), nil, nil, segment{5, 6, Corrupt})
	// The user's is not read.
	f(5, 6, files(span(1, 10, 6)), files(span(3, 9, 4)), nil, segment{5, 6, ""})
	f(5, 6, files(span(20, 30, 6)), files(span(3, 9, 4)), nil, segment{5, 6, ""})
	bad := span(1, 20, 3)
	f(5, 6, files(bad, span(2, 30, 3)), nil, bad, segment{5, 6, Corrupt})
	f(5, 6, files(span(0, 0, 0)), nil, nil, segment{5, 6, Vacuumed})
}

// TestExplainWhole holds for any files: the segments follow one another and cover the gap.
func TestExplainWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func() (fs []*file) {
			for range rapid.IntRange(0, 5).Draw(t, "files") {
				head := rapid.Uint64Range(1, 60).Draw(t, "head")
				tail := head + rapid.Uint64Range(0, 30).Draw(t, "length")
				fs = append(fs, span(head, tail, rapid.Uint64Range(0, tail-head+1).Draw(t, "entries")))
			}
			return fs
		}
		lo := rapid.Uint64Range(1, 80).Draw(t, "lo")
		hi := lo + rapid.Uint64Range(1, 30).Draw(t, "gap")
		wanted, others := draw(), draw()
		at := lo
		for _, g := range explain(lo, hi, wanted, others, func(*file) bool { return false }) {
			if g.from != at || g.to <= g.from {
				t.Fatalf("segment %v does not begin at %d", g, at)
			}
			for n := g.from; n < g.to; n++ {
				covered := false
				for _, f := range append(append([]*file(nil), wanted...), others...) {
					covered = covered || f.covers(n)
				}
				if covered == (g.reason == Vacuumed) {
					t.Fatalf("%d is %q, though covered is %v", n, g.reason, covered)
				}
			}
			at = g.to
		}
		if at != hi {
			t.Fatalf("the segments end at %d, want %d", at, hi)
		}
	})
}
