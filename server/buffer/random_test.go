package buffer

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestRandomDamage damages a log in several places at once. Whatever it was: a record comes back as it was or not at all,
// what does not come back is reported as lost (or was the torn end, whose numbers were never counted), a record that no
// damage touched comes back, and Check, Repair and Open agree.
func TestRandomDamage(t *testing.T) {
	var payloads []string
	for i := range 12 {
		payloads = append(payloads, strings.Repeat(fmt.Sprint(i), i*i%11*30))
	}
	s := newSample(t, payloads, dataStart+1000)
	var names []string
	for name := range s.files {
		names = append(names, name)
	}
	slices.Sort(names)
	base := tempDir(t)
	rapid.Check(t, func(rt *rapid.T) {
		dir := filepath.Join(base, "wal")
		name := rapid.SampledFrom(names).Draw(rt, "segment")
		size := len(s.files[name])
		touched := make([]bool, size)
		keepsHeader := true
		s.write(t, dir, name, func(b []byte) []byte {
			for range rapid.IntRange(1, 4).Draw(rt, "places") {
				from := rapid.OneOf(rapid.IntRange(dataStart, size-1), rapid.IntRange(0, size-1)).Draw(rt, "from")
				to := min(size, from+rapid.IntRange(1, 200).Draw(rt, "bytes"))
				zero := rapid.Bool().Draw(rt, "zero")
				for i := from; i < to; i++ {
					touched[i] = true
					b[i] ^= byte(1 + i%255)
					if zero {
						b[i] = 0
					}
				}
			}
			if rapid.IntRange(0, 3).Draw(rt, "cut") == 0 {
				at := rapid.IntRange(0, size).Draw(rt, "at")
				for i := at; i < size; i++ {
					touched[i] = true
				}
				b = b[:at:at]
			}
			hit := func(from int) bool { return slices.Contains(touched[from:from+headerSize], true) }
			keepsHeader = len(b) >= dataStart && !(hit(0) && hit(copyAt))
			return b
		})
		r, err := Check(dir)
		if err != nil {
			rt.Fatal(err)
		}
		if rapid.Bool().Draw(rt, "repair") {
			if _, err := Repair(dir); err != nil {
				rt.Fatal(err)
			}
			if again, err := Check(dir); err != nil || !again.Clean() || len(again.Notes) > 0 {
				rt.Fatalf("after Repair: %v, %+v", err, again)
			}
		}
		w := open(t, dir, Options{})
		defer w.Close()
		lost := lostSeqs(w.Lost())
		if fmt.Sprint(lost) != fmt.Sprint(lostSeqs(r.Lost)) {
			rt.Fatalf("Open lost %v, Check %v", lost, r.Lost)
		}
		got := replay(t, w, 0)
		for seq, p := range s.records {
			g, ok := got[seq]
			if ok && g != p || ok && slices.Contains(lost, seq) {
				rt.Fatalf("record %d came back with %d bytes, want %d; lost %v", seq, len(g), len(p), lost)
			}
			if !ok && seq <= w.Last() && !slices.Contains(lost, seq) {
				rt.Fatalf("record %d is gone and not in %v; last is %d", seq, lost, w.Last())
			}
			l := s.places[seq]
			whole := segmentName(l.Segment) != name || keepsHeader &&
				!slices.Contains(touched[l.Offset:l.Offset+overhead+int64(l.Len)], true)
			if whole && !ok {
				rt.Fatalf("record %d was not damaged and did not come back; lost %v", seq, lost)
			}
		}
	})
}
