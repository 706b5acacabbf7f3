package buffer

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sample is a small log of several segments, and what is where in its files.
type sample struct {
	files   map[string][]byte
	records map[uint64]string
	places  map[uint64]Location
}

func newSample(t testing.TB, payloads []string, segmentBytes int64) sample {
	t.Helper()
	dir := tempDir(t)
	s := sample{map[string][]byte{}, map[uint64]string{}, map[uint64]Location{}}
	w := open(t, dir, Options{SegmentBytes: segmentBytes})
	for _, p := range payloads {
		l := appendTo(t, w, p)
		s.records[l.Seq], s.places[l.Seq] = p, l
	}
	closeWAL(t, w)
	for _, name := range segmentNames(t, dir) {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		s.files[name] = b
	}
	return s
}

// write puts the files into a fresh directory; change may alter a copy of one.
func (s sample) write(t testing.TB, dir, name string, change func(b []byte) []byte) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for n, b := range s.files {
		if n == name {
			if b = change(bytes.Clone(b)); b == nil {
				continue
			}
		}
		if err := os.WriteFile(filepath.Join(dir, n), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// without returns the records but those lost.
func (s sample) without(lost ...uint64) map[uint64]string {
	m := map[uint64]string{}
	for seq, p := range s.records {
		m[seq] = p
	}
	for _, seq := range lost {
		delete(m, seq)
	}
	return m
}

func lostSeqs(ranges []SeqRange) (seqs []uint64) {
	for _, r := range ranges {
		for seq := r.First; seq <= r.Last; seq++ {
			seqs = append(seqs, seq)
		}
	}
	return seqs
}

// verify demands that the damaged log in dir loses exactly lost, that Check says so with the segment's name and changes
// nothing, that Repair or Open mends it, and that the loss is known afterwards and the log goes on.
func (s sample) verify(t testing.TB, what, dir, segment string, repair bool, lost ...uint64) {
	t.Helper()
	r, err := Check(dir)
	if err != nil || r.Clean() || r.Damage[0].Segment != segment || fmt.Sprint(lostSeqs(r.Lost)) != fmt.Sprint(lost) {
		t.Fatalf("%s: Check: %v, %+v; want damage in %s, lost %v", what, err, r, segment, lost)
	}
	var logged bytes.Buffer
	o := Options{Log: slog.New(slog.NewTextHandler(&logged, nil))}
	if repair {
		if r, err = Repair(dir); err != nil || len(r.Done) == 0 {
			t.Fatalf("%s: Repair: %v, done %v", what, err, r.Done)
		}
		if r := wantClean(t, dir); fmt.Sprint(lostSeqs(r.Lost)) != fmt.Sprint(lost) {
			t.Fatalf("%s: after Repair lost %v, want %v", what, r.Lost, lost)
		}
	}
	for again := range 2 { // the first Open mends, the second finds it mended
		w := open(t, dir, o)
		if fmt.Sprint(lostSeqs(w.Lost())) != fmt.Sprint(lost) {
			t.Fatalf("%s: Open %d: lost %v, want %v", what, again, w.Lost(), lost)
		}
		want := s.without(lost...)
		if again > 0 {
			want[w.Last()] = "goes on"
		}
		wantRecords(t, w, 0, want)
		if again == 0 {
			last := max(w.Last(), uint64(len(s.records)))
			if l := appendTo(t, w, "goes on"); l.Seq != last+1 {
				t.Fatalf("%s: seq %d behind %d", what, l.Seq, last)
			}
		}
		closeWAL(t, w)
		wantClean(t, dir)
	}
	if !repair && (!strings.Contains(logged.String(), "corrupt") || !strings.Contains(logged.String(), segment)) {
		t.Fatalf("%s: logged %s", what, &logged)
	}
}

var samplePayloads = []string{"first", "", "the third, a little longer than the others", "4", strings.Repeat("5", 90), "six"}

// TestFlipEveryByte: a damaged byte in a payload loses that record; anywhere else it loses nothing, because headers and
// frames are there twice. Of the zeros that fill the header's block each 61st is enough.
func TestFlipEveryByte(t *testing.T) {
	s := newSample(t, samplePayloads, dataStart+200)
	if len(s.files) < 3 {
		t.Fatalf("%d segments", len(s.files))
	}
	dir := filepath.Join(tempDir(t), "wal")
	n := 0
	for name, b := range s.files {
		for i := range b {
			filling := i >= headerSize && i < copyAt || i >= copyAt+headerSize && i < dataStart
			if filling && i%61 != 0 {
				continue
			}
			var lost []uint64
			for seq, l := range s.places {
				if segmentName(l.Segment) == name && int64(i) >= l.Offset+frameSize && int64(i) < l.Offset+frameSize+int64(l.Len) {
					lost = append(lost, seq)
				}
			}
			n++
			s.write(t, dir, name, func(b []byte) []byte { b[i] ^= 1 << (n % 8); return b })
			s.verify(t, fmt.Sprintf("%s byte %d", name, i), dir, name, n%2 == 0, lost...)
		}
	}
}

// TestTearEveryByte: whatever a kill leaves of the last record is no damage, and the records before it stay.
func TestTearEveryByte(t *testing.T) {
	s := newSample(t, []string{"one", "two", strings.Repeat("the last ", 100)}, 0)
	last := s.places[3]
	name := segmentName(last.Segment)
	size := len(s.files[name])
	dir := filepath.Join(tempDir(t), "wal")
	f := func(what string, want map[uint64]string, change func(b []byte) []byte) {
		t.Helper()
		s.write(t, dir, name, change)
		if r := wantClean(t, dir); len(r.Lost) > 0 || len(want) < 3 && len(r.Notes) == 0 && len(change(s.files[name])) != int(last.Offset) {
			t.Fatalf("%s: %+v", what, r)
		}
		w := open(t, dir, Options{})
		wantRecords(t, w, 0, want)
		if len(w.Lost()) > 0 {
			t.Fatalf("%s: lost %v", what, w.Lost())
		}
		l := appendTo(t, w, "goes on")
		if l.Seq != uint64(len(want)+1) {
			t.Fatalf("%s: seq %d", what, l.Seq)
		}
		closeWAL(t, w)
		wantClean(t, dir)
		w = open(t, dir, Options{})
		want[l.Seq] = "goes on"
		wantRecords(t, w, 0, want)
		closeWAL(t, w)
	}
	for cut := int(last.Offset); cut < size; cut++ {
		f(fmt.Sprint("cut at ", cut), s.without(3), func(b []byte) []byte { return b[:cut:cut] })
		// The size is there, the blocks are not; the zeros reach over the frame behind the payload.
		if cut < size-frameSize {
			f(fmt.Sprint("zeros from ", cut), s.without(3), func(b []byte) []byte {
				clear(b[cut:])
				return append(b, make([]byte, cut%3*1000)...)
			})
		}
	}
	f("zeros in place of the last frame", s.without(), func(b []byte) []byte { clear(b[size-frameSize:]); return b })
	f("zeros behind", s.without(), func(b []byte) []byte { return append(b, make([]byte, 5000)...) })
	for cut := 0; cut < dataStart; cut += 13 {
		f(fmt.Sprint("header cut at ", cut), map[uint64]string{}, func(b []byte) []byte { return b[:cut:cut] })
	}
	f("header of zeros", map[uint64]string{}, func(b []byte) []byte { clear(b); return b })
}

func TestLargerDamage(t *testing.T) {
	s := newSample(t, samplePayloads, dataStart+200)
	dir := filepath.Join(tempDir(t), "wal")
	f := func(what, name string, change func(b []byte) []byte, lost ...uint64) {
		t.Helper()
		for _, repair := range []bool{true, false} {
			s.write(t, dir, name, change)
			s.verify(t, what, dir, name, repair, lost...)
		}
	}
	first, second := segmentName(1), segmentName(s.places[4].Segment)
	if s.places[3].Segment != 1 || s.places[4].Segment != 4 || s.places[6].Segment != 6 {
		t.Fatalf("places %v", s.places)
	}
	at := func(seq uint64) int64 { return s.places[seq].Offset }
	wipe := func(from, to int64) func(b []byte) []byte {
		return func(b []byte) []byte {
			for i := from; i < to; i++ {
				b[i] ^= 0x5a
			}
			return b
		}
	}
	f("one whole record", first, wipe(at(1), at(2)), 1)
	f("two whole records", first, wipe(at(1), at(3)), 1, 2)
	f("across two records", first, wipe(at(1)+34, at(2)+3), 1)
	f("all records", first, wipe(dataStart, int64(len(s.files[first]))), 1, 2, 3)
	f("a sealed segment cut short", second, func(b []byte) []byte { return b[:len(b)-5] }, 5)
	f("a segment gone", second, func([]byte) []byte { return nil }, 4, 5)
	f("both headers", second, wipe(0, dataStart), 4, 5)
	f("both headers of the first", first, wipe(0, dataStart), 1, 2, 3)
	f("a sealed segment of zeros", second, func(b []byte) []byte { clear(b); return b }, 4, 5)
	f("a sealed segment emptied", second, func(b []byte) []byte { return b[:0] }, 4, 5)
}

// TestUnknownLoss: where both frames of the last record are gone nobody knows how many records were there. All numbers that
// may have been used are lost, none is used again.
func TestUnknownLoss(t *testing.T) {
	s := newSample(t, []string{"one", strings.Repeat("2", 1000)}, 0)
	dir := filepath.Join(tempDir(t), "wal")
	l := s.places[2]
	s.write(t, dir, segmentName(1), func(b []byte) []byte {
		b[l.Offset] ^= 1
		clear(b[len(b)-10:]) // not what a crash leaves: the payload's bytes are there
		return b
	})
	w := open(t, dir, Options{})
	wantRecords(t, w, 0, map[uint64]string{1: "one"})
	most := uint64(1000+overhead) / overhead
	if lost := w.Lost(); len(lost) != 1 || lost[0].First != 2 || lost[0].Last != 1+most || w.Last() != 1+most {
		t.Fatalf("lost %v, last %d", lost, w.Last())
	}
}

// TestForged: a payload that holds whole records, of this log or another, is never taken for them when the frames around
// it are damaged.
func TestForged(t *testing.T) {
	other := newSample(t, []string{"a", "forged 2", "forged 3", "forged 4"}, 0)
	whole := string(other.files[segmentName(1)])
	own := tempDir(t)
	w := open(t, own, Options{})
	appendTo(t, w, "one")
	ownBytes, err := os.ReadFile(filepath.Join(own, segmentName(1)))
	if err != nil {
		t.Fatal(err)
	}
	payloads := []string{whole[dataStart:], string(ownBytes[dataStart:]) + whole, strings.Repeat(string(markPrefix)+"D", 5000)}
	for _, p := range payloads {
		appendTo(t, w, p)
	}
	appendTo(t, w, "five")
	closeWAL(t, w)
	b, err := os.ReadFile(filepath.Join(own, segmentName(1)))
	if err != nil {
		t.Fatal(err)
	}
	s := sample{files: map[string][]byte{segmentName(1): b},
		records: map[uint64]string{1: "one", 2: payloads[0], 3: payloads[1], 4: payloads[2], 5: "five"}}
	dir := filepath.Join(tempDir(t), "wal")
	off := int64(dataStart)
	for seq := uint64(1); seq <= 5; seq++ {
		end := off + overhead + int64(len(s.records[seq]))
		for _, repair := range []bool{true, false} {
			s.write(t, dir, segmentName(1), func(b []byte) []byte { b[off+9] ^= 4; return b })
			s.verify(t, fmt.Sprint("frame before ", seq), dir, segmentName(1), repair)
			if seq == 5 {
				continue // see TestUnknownLoss
			}
			s.write(t, dir, segmentName(1), func(b []byte) []byte { b[off+9] ^= 4; b[end-1] ^= 1; return b })
			s.verify(t, fmt.Sprint("both frames of ", seq), dir, segmentName(1), repair, seq)
		}
		off = end
	}
}

// TestQuarantine: the damaged bytes are kept.
func TestQuarantine(t *testing.T) {
	s := newSample(t, []string{"one", "two", "three"}, 0)
	dir := filepath.Join(tempDir(t), "wal")
	l := s.places[2]
	var want []byte
	s.write(t, dir, segmentName(1), func(b []byte) []byte {
		b[l.Offset+frameSize] ^= 1
		want = bytes.Clone(b[l.Offset : l.Offset+overhead+3])
		return b
	})
	if _, err := Repair(dir); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "quarantine", fmt.Sprintf("%s.%d", segmentName(1), l.Offset)))
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("quarantine holds %q, %v; want %q", got, err, want)
	}
	r := wantClean(t, dir)
	if len(r.Lost) != 1 || !r.Lost[0].Known || r.Lost[0].Segment != segmentName(1) {
		t.Fatalf("lost %+v", r.Lost)
	}
}

func TestOtherVersion(t *testing.T) {
	s := newSample(t, []string{"one"}, 0)
	dir := filepath.Join(tempDir(t), "wal")
	var before []byte
	s.write(t, dir, segmentName(1), func(b []byte) []byte {
		h := header{first: 1}.block()
		h[8]++
		h = resum(h)
		copy(b, h[:headerSize])
		copy(b[copyAt:], h[:headerSize])
		before = b
		return b
	})
	if _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Fatalf("Open: %v", err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, segmentName(1))); err != nil || !bytes.Equal(b, before) {
		t.Fatalf("a file of another version was changed (%v)", err)
	}
}
