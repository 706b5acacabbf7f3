package journald

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"

	"github.com/tallylog/tally/inputs/status"
	"github.com/tallylog/tally/ledger"
)

// accounted checks that the events and the reported ranges cover the numbers from 0 up to end: each once.
func accounted(t *testing.T, r *running, events []beat.Event, end int64) (lost int64) {
	t.Helper()
	var set ledger.Set
	add := func(from, to int64, what string) {
		t.Helper()
		if from == to {
			return
		}
		if set.Overlaps(ledger.Range{From: from, To: to}) {
			t.Fatalf("[%d, %d), %s, overlaps what was accounted for", from, to, what)
		}
		set.Add(ledger.Range{From: from, To: to})
	}
	for _, e := range events {
		p := positionOf(t, e)
		add(p.From-p.Skipped, p.From, "skipped")
		add(p.From, p.To, "an event")
	}
	for len(r.lost) > 0 {
		l := <-r.lost
		if l.Reason != Corrupt {
			t.Errorf("reported %+v, want the reason %s", l, Corrupt)
		}
		add(l.From-l.Skipped, l.From, "skipped before a loss")
		add(l.From, l.To, "lost")
		lost += l.To - l.From
	}
	if got := set.Ranges(); len(got) != 1 || got[0].From != 0 || got[0].To != end {
		t.Errorf("accounted for are %v, want [0, %d)", got, end)
	}
	return lost
}

// TestDamage flips bits of an archived file, or overwrites 16 KiB of it: what can be read comes, right and once, the rest is reported, and the
// files that follow are read.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "system.journal")
	x := new(export)
	x.lines(2000).write(t, path)
	old := rotate(t, path)
	x.lines(100).write(t, path)
	good, err := os.ReadFile(old)
	if err != nil {
		t.Fatal(err)
	}
	f, err := statFile(old)
	if err != nil || f.entries != 2000 {
		t.Fatalf("the archive has %+v, %v", f, err)
	}
	used := len(good)
	for used > 0 && good[used-1] == 0 {
		used--
	}
	// The hash tables at the front are not used for reading on.
	field := func(at int) int { return int(binary.LittleEndian.Uint64(good[at:])) }
	begin := max(field(104)+field(112), field(120)+field(128))
	random := rand.New(rand.NewPCG(1, 2))
	all := int64(0)
	for round := range 12 {
		bad := append([]byte(nil), good...)
		if round%2 == 0 {
			for range 1 + round*4 {
				bad[begin+random.IntN(used-begin)] ^= 1 << random.IntN(8)
			}
		} else {
			at := begin + random.IntN(used-begin-1<<14)
			for i := range 1 << 14 {
				bad[at+i] = byte(random.Uint32() >> (round % 3 * 4) & 0xFF)
			}
		}
		if err := os.WriteFile(old, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		r := start(t, common.MapStr{"paths": []string{path}}, setup{})
		waitFor(t, func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			n := len(r.events)
			return n > 0 && positionOf(t, r.events[n-1]).To == 2101
		})
		r.stop(t)
		lost := accounted(t, r, r.events, 2101)
		all += lost
		t.Logf("round %d: %d entries lost", round, lost)
	}
	// Where the damage hits one of the file's few index blocks, all behind it is out of libsystemd's reach.
	if all == 0 || all > 12*2100/4 {
		t.Errorf("%d of %d entries were lost, want some, not a quarter", all, 12*2100)
	}
}

// TestTruncated cuts a file off while it is mapped, which raises SIGBUS inside libsystemd. The input goes on with other files.
func TestTruncated(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "system.journal")
	x := new(export)
	x.lines(30_000).write(t, path)
	old := rotate(t, path)
	x.lines(100).write(t, path)
	p := newPipe()
	r := start(t, common.MapStr{"paths": []string{path}}, setup{pipe: p, open: func(files []string, at place) (reader, error) {
		r, err := openFiles(files, at)
		if err != nil {
			return nil, err
		}
		return &truncating{reader: r, file: old}, nil
	}})
	waitFor(t, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		n := len(r.events)
		return n > 0 && positionOf(t, r.events[n-1]).To == 30101
	})
	r.stop(t)
	lost := accounted(t, r, r.events, 30101)
	if lost == 0 || lost > 29_000 {
		t.Errorf("%d entries are lost, want some of the 30,000", lost)
	}
}

// truncating cuts the file off after its second batch.
type truncating struct {
	reader
	file  string
	reads int
}

func (r *truncating) read() ([]byte, error) {
	if r.reads++; r.reads == 3 {
		if err := os.Truncate(r.file, 1<<20); err != nil {
			return nil, err
		}
	}
	return r.reader.read()
}

// TestFault shows that a fault inside libsystemd comes back as an error, time after time.
func TestFault(t *testing.T) {
	for range 20 {
		path := filepath.Join(t.TempDir(), "system.journal")
		new(export).lines(3000).write(t, path)
		r, err := openFiles([]string{path}, place{})
		if err != nil {
			t.Fatal(err)
		}
		if b, err := r.read(); err != nil || len(b) == 0 {
			t.Fatalf("the first batch has %d bytes, %v", len(b), err)
		}
		if err := os.Truncate(path, 4096); err != nil {
			t.Fatal(err)
		}
		for err == nil {
			var b []byte
			if b, err = r.read(); err == nil && len(b) == 0 {
				t.Fatal("a truncated file reads as if it had ended")
			}
		}
		if !errors.Is(err, errFault) {
			t.Errorf("reading a truncated file gives %v, want %v", err, errFault)
		}
		r.close()
	}
	// Faults of Go code are Go's still.
	defer func() {
		if recover() == nil {
			t.Error("a nil dereference did not panic")
		}
	}()
	var nothing *file
	nothing.path = "x"
}

func TestUnknownFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "system.journal")
	x := new(export)
	x.lines(10).write(t, path)
	old := rotate(t, path)
	x.lines(10).write(t, path)
	f, err := statFile(old)
	if err != nil {
		t.Fatal(err)
	}
	patch(t, old, 12, []byte{byte(f.flags), 0x40})
	if _, err := openFiles([]string{old}, place{}); !errors.Is(err, syscall.EPROTONOSUPPORT) {
		t.Errorf("opening gives %v, want EPROTONOSUPPORT", err)
	}
	board := &status.Board{}
	r := start(t, common.MapStr{"paths": []string{path}}, setup{options: Options{Board: board}})
	events := r.wait(t, 10)
	waitFor(t, func() bool { // the missing feature is named to the operator, and no other
		all := board.Summaries()
		return len(all) == 1 && all[0].Errors == 1 && all[0].Sources[0].Name == old &&
			strings.HasSuffix(all[0].Sources[0].Error, "it needs incompatible flag 14, which this machine's libsystemd does not know")
	})
	r.stop(t)
	if lost := accounted(t, r, events, 21); lost != 10 {
		t.Errorf("%d entries are lost, want the 10 of the file that cannot be read", lost)
	}
}
