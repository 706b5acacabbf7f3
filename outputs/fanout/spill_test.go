package fanout

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/logp"
	"github.com/elastic/beats/v7/libbeat/publisher"

	"github.com/tallylog/tally/outputs/beatjson"
)

func batchOf(names ...string) []publisher.Event {
	var out []publisher.Event
	for _, n := range names {
		out = append(out, publisher.Event{Content: beat.Event{Timestamp: time.Unix(7, 123456789).UTC(), Fields: common.MapStr{"message": n}}})
	}
	return out
}

// open returns the spill of a directory and the first message of each batch in it.
func open(t testing.TB, dir string) (*spill, []*stored, []string) {
	t.Helper()
	s, recs, err := openSpill(dir, 1<<20, logp.NewLogger("test"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range recs {
		events, err := s.read(r)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(events[0].Content.Fields["message"]))
	}
	return s, recs, got
}

// written makes a spill of three batches and returns its one file and where its records begin.
func written(t testing.TB) (dir, name string, text []byte, at []int64) {
	t.Helper()
	dir = t.TempDir()
	s, _, _ := open(t, dir)
	recs, err := s.append([][]publisher.Event{batchOf("one"), batchOf("two", "x"), batchOf("three")})
	if err != nil || len(recs) != 3 {
		t.Fatal(recs, err)
	}
	for _, r := range recs {
		at = append(at, r.at)
	}
	s.close()
	name = recs[0].seg.name
	text, err = os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return dir, name, text, at
}

// A segment that ends anywhere gives the records that are whole, and can be added to.
func TestTornWrite(t *testing.T) {
	dir, name, text, at := written(t)
	for n := range len(text) {
		if err := os.WriteFile(name, text[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		s, recs, got := open(t, dir)
		want := 0
		for i := range at {
			if end := append(at[1:], int64(len(text)))[i]; int64(n) >= end {
				want++
			}
		}
		if !reflect.DeepEqual(got, []string{"one", "two", "three"}[:want]) && want > 0 || len(got) != want {
			t.Fatalf("cut at %d: %v, want %d", n, got, want)
		}
		more, err := s.append([][]publisher.Event{batchOf("more")})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range append(recs, more...) {
			s.done(r)
		}
		s.close()
		if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
			t.Fatalf("cut at %d: all is done, and there is %v", n, left)
		}
	}
}

// A flipped bit costs its record, or what comes behind it where the length is hit, and never gives a false one.
func TestBitFlip(t *testing.T) {
	dir, name, text, at := written(t)
	for i := range text {
		for bit := range 8 {
			bad := bytes.Clone(text)
			bad[i] ^= 1 << bit
			if err := os.WriteFile(name, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			s, _, got := open(t, dir)
			s.close()
			hit := -1 // the record
			for k := range at {
				if int64(i) >= at[k] {
					hit = k
				}
			}
			inLength := hit >= 0 && int64(i) < at[hit]+4
			spare := hit >= 0 && int64(i) >= at[hit]+9 && int64(i) < at[hit]+headSize
			var want []string
			for k, m := range []string{"one", "two", "three"} {
				if hit >= 0 && (k < hit || k > hit && !inLength || k == hit && spare) {
					want = append(want, m)
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("bit %d of byte %d: got %v, want %v", bit, i, got, want)
			}
		}
	}
}

// What is done does not come back; what is not, does.
func TestDone(t *testing.T) {
	dir, _, _, _ := written(t)
	s, recs, _ := open(t, dir)
	s.done(recs[1])
	s.close()
	s, recs, got := open(t, dir)
	if fmt.Sprint(got) != "[one three]" {
		t.Errorf("got %v", got)
	}
	s.done(recs[0])
	s.done(recs[1])
	if s.size != 0 {
		t.Errorf("an empty spill of %d bytes", s.size)
	}
	s.close()
}

// Events come back with the content that they have as JSON, and their time to the nanosecond.
func TestRoundTrip(t *testing.T) {
	encode := beatjson.New("b", "7", false)
	content := func(t *rapid.T, ev *beat.Event) any {
		d := json.NewDecoder(bytes.NewReader(encode.Append(nil, ev)))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	value := rapid.OneOf(
		rapid.Map(rapid.String(), func(s string) any { return s }), rapid.Map(rapid.Int64(), func(n int64) any { return n }),
		rapid.Map(rapid.Uint64(), func(n uint64) any { return n }), rapid.Map(rapid.Float64(), func(f float64) any { return f }),
		rapid.SampledFrom([]any{nil, true, 3.0, 1e300, []string{"a"}, []interface{}{1, "b", common.MapStr{"c": nil}}, time.Unix(5, 0), common.MapStr{"x": common.MapStr{}}}))
	m := rapid.Map(rapid.MapOfN(rapid.SampledFrom([]string{"message", "a", "b", "type", "tally", "beat"}), value, 0, 5), func(m map[string]any) common.MapStr { return m })
	rapid.Check(t, func(t *rapid.T) {
		in := make([]publisher.Event, rapid.IntRange(0, 3).Draw(t, "n"))
		for i := range in {
			in[i] = publisher.Event{Flags: publisher.EventFlags(rapid.Byte().Draw(t, "flags")), Content: beat.Event{
				Timestamp: time.Unix(rapid.Int64Range(-1<<36, 1<<36).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC(),
				Fields:    m.Draw(t, "fields"), Meta: m.Draw(t, "meta"),
			}}
		}
		out, err := parseBatch(appendBatch(nil, newEncoder(), in))
		if err != nil || len(out) != len(in) {
			t.Fatalf("%d of %d events, %v", len(out), len(in), err)
		}
		for i := range in {
			if out[i].Flags != in[i].Flags || !out[i].Content.Timestamp.Equal(in[i].Content.Timestamp) {
				t.Fatalf("got %+v, want %+v", out[i], in[i])
			}
			if got, want := content(t, &out[i].Content), content(t, &in[i].Content); !reflect.DeepEqual(got, want) {
				t.Fatalf("got  %v\nwant %v", got, want)
			}
		}
	})
}

// max_retries drops only what is not guaranteed.
func TestRetries(t *testing.T) {
	f := func(retries, fails int, flags []publisher.EventFlags, left int) {
		t.Helper()
		c := newChild("c", "fake", groupOf(retries), logp.NewLogger("test"))
		events := batchOf("a", "b")
		for i := range flags {
			events[i].Flags = flags[i]
		}
		it := &item{c: c, events: events, retries: retries}
		for range fails {
			it.Retry()
		}
		n := len(it.events)
		if it.done {
			n = 0
		}
		if n != left {
			t.Errorf("retries %d, %d failures: %d events left, want %d", retries, fails, n, left)
		}
	}
	const sure = publisher.GuaranteedSend
	f(-1, 9, []publisher.EventFlags{0, 0}, 2)
	f(2, 2, []publisher.EventFlags{0, 0}, 2)
	f(2, 3, []publisher.EventFlags{0, 0}, 0)
	f(2, 9, []publisher.EventFlags{sure, 0}, 1)
	f(0, 9, []publisher.EventFlags{sure, sure}, 2)
}

func FuzzParseBatch(f *testing.F) {
	f.Add(appendBatch(nil, newEncoder(), batchOf("a", "b")))
	f.Add([]byte{1, 0, 0, 0, 2, '{', '}'})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, in []byte) {
		events, err := parseBatch(in)
		if err != nil {
			return
		}
		again, err := parseBatch(appendBatch(nil, newEncoder(), events))
		if err != nil || len(again) != len(events) {
			t.Fatalf("%d events became %d: %v", len(events), len(again), err)
		}
	})
}
