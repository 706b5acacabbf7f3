package journald

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/elastic/beats/v7/libbeat/common"
)

// The values are those of lookup3.c's own driver5 and of its hashlittle2 with both seeds zero.
func TestJenkins64(t *testing.T) {
	f := func(text string, want uint64) {
		t.Helper()
		if got := jenkins64([]byte(text)); got != want {
			t.Errorf("%q: %x, want %x", text, got, want)
		}
	}
	f("", 0xdeadbeefdeadbeef)
	f("Four score and seven years ago", 0x17770551ce7226e6)
}

// TestMessageLost damages the messages of two entries, one of them a held piece, so that libsystemd reads the entries without them. They are
// lost, and named; an entry that never had a message, and one that says something twice, are none of that kind.
func TestMessageLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "system.journal")
	store := filepath.Join(t.TempDir(), "positions")
	x := new(export)
	x.lines(3).docker("a", "a piece that waits", true).write(t, path)
	cfg := common.MapStr{"paths": []string{path}, "partial_timeout": "1h"}
	r := start(t, cfg, setup{store: store})
	r.wait(t, 3)
	r.stop(t)
	x.lines(3).add("OTHER", "no message").add("TWICE", "a", "TWICE", "a", "OTHER", "b").lines(3).write(t, path)
	breakMessage(t, path, "line 5")
	breakMessage(t, path, "a piece that waits")
	r = start(t, cfg, setup{store: store})
	events := r.wait(t, 7)
	r.stop(t)
	if events[2].Fields["message"] != nil || events[3].Fields["message"] != nil || events[6].Fields["message"] != "line 11" {
		t.Errorf("%v", events)
	}
	if len(r.lost) != 2 {
		t.Fatalf("%d ranges are lost, want 2", len(r.lost))
	}
	for _, want := range []Range{{From: 4, To: 5, Reason: Corrupt}, {From: 6, To: 7, Reason: Corrupt}} {
		got := <-r.lost
		got.Source = ""
		if got != want {
			t.Errorf("lost is %+v, want %+v", got, want)
		}
	}
}

// breakMessage makes the object of a message unreadable (JOURNAL_FILE_FORMAT: a data object's payload is at 64, or 72 in compact files).
func breakMessage(t *testing.T, path, message string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := statFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(text, append([]byte("MESSAGE="), message...))
	if at < 0 {
		t.Fatalf("there is no message %q", message)
	}
	const compact = 1 << 4
	if at -= 64; f.flags&compact != 0 {
		at -= 8
	}
	if text[at] != 1 {
		t.Fatalf("there is an object of type %d at %d, want one of data", text[at], at)
	}
	patch(t, path, int64(at), []byte{0xEE})
}
