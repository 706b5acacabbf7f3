package ledger

import (
	"math/rand"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// model is the naive set of units.
type model map[int64]bool

func (m model) ranges(max int64) []Range {
	out := []Range{}
	for x := int64(0); x <= max; x++ {
		if !m[x] {
			continue
		}
		if k := len(out); k > 0 && out[k-1].To == x {
			out[k-1].To++
		} else {
			out = append(out, Range{x, x + 1})
		}
	}
	return out
}

func TestSetAgainstModel(t *testing.T) {
	const limit = 3000
	rapid.Check(t, func(t *rapid.T) {
		var s Set
		m := model{}
		// Single units far apart make many ranges, so that chunks split; long ranges swallow them again.
		if rapid.Bool().Draw(t, "many") {
			order := rand.New(rand.NewSource(rapid.Int64().Draw(t, "seed"))).Perm(limit / 2)
			for _, i := range order {
				s.Add(Range{int64(2 * i), int64(2*i + 1)})
				m[int64(2*i)] = true
			}
		}
		for range rapid.IntRange(0, 60).Draw(t, "adds") {
			from := rapid.Int64Range(0, limit).Draw(t, "from")
			r := Range{from, min(limit+1, from+rapid.Int64Range(0, 400).Draw(t, "len"))}
			added := int64(0)
			all, any := true, false
			for x := r.From; x < r.To; x++ {
				all, any = all && m[x], any || m[x]
			}
			if r.Len() > 0 {
				if got := s.Contains(r); got != all {
					t.Fatalf("Contains(%v) = %v, want %v", r, got, all)
				}
				if got := s.Overlaps(r); got != any {
					t.Fatalf("Overlaps(%v) = %v, want %v", r, got, any)
				}
			}
			for x := r.From; x < r.To; x++ {
				if !m[x] {
					m[x] = true
					added++
				}
			}
			if got := s.Add(r); got != added {
				t.Fatalf("Add(%v) = %d new units, want %d", r, got, added)
			}
			if rapid.Bool().Draw(t, "remove") {
				at := rapid.Int64Range(0, limit).Draw(t, "at")
				gone := Range{at, at + rapid.Int64Range(0, 100).Draw(t, "gone")}
				removed := int64(0)
				for x := gone.From; x < gone.To; x++ {
					if m[x] {
						delete(m, x)
						removed++
					}
				}
				if got := s.Remove(gone); got != removed {
					t.Fatalf("Remove(%v) = %d units, want %d", gone, got, removed)
				}
			}
		}
		want := m.ranges(limit + 1)
		if got := s.Ranges(); !slices.Equal(got, want) {
			t.Fatalf("ranges %v, want %v", got, want)
		}
		if s.Len() != len(want) || s.Units() != int64(len(m)) {
			t.Fatalf("Len %d Units %d, want %d and %d", s.Len(), s.Units(), len(want), len(m))
		}
		dec, rest, err := DecodeSet(append(s.AppendBinary(nil), 7))
		if err != nil || len(rest) != 1 || !slices.Equal(dec.Ranges(), want) {
			t.Fatalf("decode: %v, rest %v, ranges %v, want %v", err, rest, dec.Ranges(), want)
		}
	})
}

func FuzzDecodeSet(f *testing.F) {
	var s Set
	s.Add(Range{0, 5})
	s.Add(Range{9, 1 << 40})
	f.Add(s.AppendBinary(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, _, err := DecodeSet(b)
		if err != nil {
			return
		}
		again, _, err := DecodeSet(s.AppendBinary(nil))
		if err != nil || !slices.Equal(again.Ranges(), s.Ranges()) {
			t.Fatalf("round trip: %v", err)
		}
	})
}

func BenchmarkSetAddInOrder(b *testing.B) {
	var s Set
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		s.Add(Range{int64(i) * 200, int64(i)*200 + 200})
	}
}

func BenchmarkSetAddOutOfOrder(b *testing.B) {
	order := rand.New(rand.NewSource(1)).Perm(1_000_000)
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		var s Set
		for _, x := range order {
			s.Add(Range{int64(2 * x), int64(2*x + 1)})
		}
		b.ReportMetric(float64(cap(s.chunks)*24+s.n*16)/1e6, "MB")
	}
}
