package file

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"

	"github.com/tallylog/tally/outputs/bundle"
)

func bundled(groups, each int) (out []beat.Event) {
	for g := range groups {
		b := &bundle.Bundle{Source: "s"}
		for i := range each {
			n := int64(g*each + i)
			b.Lines = append(b.Lines, bundle.Line{From: n * 10, To: n*10 + 10, Sum: uint64(n), Message: fmt.Sprintf("line %06d", n)})
		}
		out = append(out, beat.Event{Timestamp: time.Unix(1, 0), Fields: common.MapStr{"log": common.MapStr{"file": common.MapStr{"path": "x"}}}, Private: b})
	}
	return out
}

// TestBundles: many lines in one event are written one by one, each once, though the disk fails between them; as the same events
// one by one would be.
func TestBundles(t *testing.T) {
	never := func() bool { return false }
	dir := t.TempDir()
	c, o := client(t, dir, "rotate_every_kb: 100000")
	fails := 0
	o.file.open = func(name string, flag int, perm os.FileMode) (handle, error) {
		f, err := openFile(name, flag, perm)
		return &failing{handle: f, fails: &fails}, err
	}
	if left, tries := publish(c, bundled(40, 500), never); left != 0 || tries < 2 {
		t.Fatalf("%d left after %d tries", left, tries)
	}
	text, err := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(got) != 20_000 {
		t.Fatalf("%d lines", len(got))
	}
	for i, line := range got {
		if want := fmt.Sprintf(`"message":"line %06d"`, i); !strings.Contains(line, want) || !strings.Contains(line, fmt.Sprintf(`"from":%d,`, i*10)) {
			t.Fatalf("line %d is %s", i, line)
		}
	}
	// A codec that knows no bundles gets each line.
	other := t.TempDir()
	c, _ = client(t, other, `codec.format.string: "%{[message]}"`)
	if left, _ := publish(c, bundled(2, 3), never); left != 0 {
		t.Fatal(left)
	}
	if text, _ := os.ReadFile(filepath.Join(other, "out")); string(text) != "line 000000\nline 000001\nline 000002\nline 000003\nline 000004\nline 000005\n" {
		t.Errorf("%s", text)
	}
}

// failing fails every third write, three times.
type failing struct {
	handle
	fails *int
}

func (f *failing) Write(b []byte) (int, error) {
	if *f.fails++; *f.fails%3 == 0 && *f.fails < 10 {
		return 0, fmt.Errorf("no")
	}
	return f.handle.Write(b)
}
