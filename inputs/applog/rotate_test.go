package applog

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// copyFile does what logrotate's copytruncate does first.
func (r *rig) copyFile(from, to string) {
	r.t.Helper()
	b, err := os.ReadFile(r.path(from))
	r.do(err)
	r.do(os.WriteFile(r.path(to), b, 0o644))
}

func TestRenameAndCreate(t *testing.T) {
	r := newRig(t)
	r.write("app.log", numbered(0, 100))
	r.run(nil, "*.log")
	r.sink.wait(t, 100)
	r.do(os.Rename(r.path("app.log"), r.path("app.log.1")))
	r.write("app.log.1", numbered(100, 200)) // its writer has it open still
	r.write("app.log", numbered(200, 300))
	es := r.sink.wait(t, 300)
	wantNumbered(t, es, 300)
	if n := len(wantWhole(t, es)); n != 2 {
		t.Fatalf("%d sources, want 2", n)
	}
	r.write("app.log.1", numbered(300, 301))
	wantNumbered(t, r.sink.wait(t, 301), 301)
}

// The output is blocked while a file is rotated three times by renaming, and its oldest generation is removed.
func TestRenamedAndRemovedWithBacklog(t *testing.T) {
	r := newRig(t)
	r.sink.set(true, true)
	r.run(nil, "*.log")
	n := 0
	for round := range 4 {
		r.write("app.log", numbered(n, n+20_000))
		n += 20_000
		r.waitRecord("this generation", func(rec record) bool { return r.generations() == round+1 })
		for i := 2; i >= 0; i-- {
			_ = os.Rename(r.path(gen(i)), r.path(gen(i+1))) // the first rounds have fewer
		}
		_ = os.Remove(r.path(gen(3)))
	}
	r.sink.set(false, false)
	wantNumbered(t, r.sink.wait(t, n), n)
}

func gen(i int) string {
	if i == 0 {
		return "app.log"
	}
	return fmt.Sprintf("app.log.%d", i)
}

func (r *rig) generations() (n int) {
	r.do(r.store.Range(keyPrefix, func(string, []byte) error { n++; return nil }))
	return n
}

func TestPodDirectoryRemovedWithBacklog(t *testing.T) {
	r := newRig(t)
	r.sink.set(true, true)
	r.run(nil, "k8spods/*/volumes/kubernetes.io~empty-dir/applog-*/*.log")
	const n = 60_000
	name := "k8spods/uid/volumes/kubernetes.io~empty-dir/applog-s-endname-t/app.log"
	r.write(name, numbered(0, n))
	r.waitRecord("the file", func(rec record) bool { return rec.Path == r.path(name) })
	r.do(os.RemoveAll(r.path("k8spods/uid")))
	r.sink.set(false, false)
	wantNumbered(t, r.sink.wait(t, n), n)
	r.waitRecord("the end", func(rec record) bool { return rec.Done && rec.Offset == int64(len(numbered(0, n))) })
}

// A pod that lives for a moment only.
func TestShortLived(t *testing.T) {
	r := newRig(t)
	r.run(map[string]any{"rescan_interval": "1h"}, "pods/*/*.log")
	r.write("pods/first/a.log", numbered(0, 1))
	r.sink.wait(t, 1)
	for i := 1; i < 20; i++ {
		r.write(fmt.Sprintf("pods/p%d/a.log", i), numbered(i, i+1))
		r.sink.wait(t, i+1)
		r.do(os.RemoveAll(r.path(fmt.Sprintf("pods/p%d", i))))
	}
	wantNumbered(t, r.sink.wait(t, 20), 20)
}

// A writer goes on at full speed while its file is copied and truncated. It stops for the moment between copy and truncation, as what
// is written there is in neither file.
func TestCopyTruncateLoop(t *testing.T) {
	for _, pattern := range []string{"*.log", "*"} {
		r := newRig(t)
		r.run(nil, pattern)
		const rounds, step = 8, 4000
		n := 1
		r.write("app.log", numbered(0, 1))
		r.sink.wait(t, 1)
		for round := range rounds {
			for range 4 {
				r.write("app.log", numbered(n, n+step/4))
				n += step / 4
			}
			for i := round; i > 0; i-- {
				r.do(os.Rename(r.path(gen(i)), r.path(gen(i+1))))
			}
			r.copyFile("app.log", "app.log.1")
			r.do(os.Truncate(r.path("app.log"), 0))
			// The agent must see every incarnation: see README.md.
			r.write("app.log", numbered(n, n+1))
			n++
			r.waitRecord("this incarnation", func(rec record) bool { return r.generations() >= round+2 })
		}
		es := r.sink.wait(t, n)
		wantNumbered(t, es, n)
		if k := len(wantWhole(t, es)); k != rounds+1 {
			t.Fatalf("%d sources, want %d", k, rounds+1)
		}
		r.stop()
	}
}

func TestCopyTruncateWithBacklog(t *testing.T) {
	pack := map[string]func(w io.Writer) io.WriteCloser{
		"":     nil,
		".gz":  func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		".zst": func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w); return z },
	}
	for ext, compress := range pack {
		r := newRig(t)
		r.sink.set(true, true)
		const n = 50_000
		r.write("app.log", numbered(0, n))
		r.run(nil, "*.log")
		r.waitRecord("the file", func(rec record) bool { return rec.HeadLen > 0 })
		if compress == nil {
			r.copyFile("app.log", "app.log.1")
		} else {
			b, err := os.ReadFile(r.path("app.log"))
			r.do(err)
			var out bytes.Buffer
			z := compress(&out)
			_, err = z.Write(b)
			r.do(err)
			r.do(z.Close())
			r.do(os.WriteFile(r.path("app.log.1"+ext), out.Bytes(), 0o644))
		}
		r.do(os.Truncate(r.path("app.log"), 0))
		r.write("app.log", numbered(n, n+10))
		r.sink.set(false, false)
		es := r.sink.wait(t, n+10)
		wantNumbered(t, es, n+10)
		if k := len(wantWhole(t, es)); k != 2 {
			t.Fatalf("%d sources, want 2", k)
		}
		r.waitRecord("the end of the old source", func(rec record) bool { return rec.Done })
		r.stop()
	}
}

func TestCopyTruncateWhileStopped(t *testing.T) {
	r := newRig(t)
	r.options.Bundles = false
	r.sink.set(false, true)
	r.write("app.log", numbered(0, 1000))
	r.run(nil, "*")
	r.sink.wait(t, 1000)
	r.sink.ack(300)
	r.waitRecord("offset", func(rec record) bool { return rec.Offset == int64(len(numbered(0, 300))) })
	r.stop()
	before := r.sink.events[:300]
	r.write("app.log", numbered(1000, 1500))
	r.copyFile("app.log", "app.log.1")
	r.do(os.Truncate(r.path("app.log"), 0))
	r.write("app.log", numbered(1500, 4000)) // regrown beyond the offset
	r.sink = newSink()
	r.run(nil, "*")
	es := r.sink.wait(t, 3700)
	wantNumbered(t, append(before[:300:300], es...), 4000)
	r.waitRecord("the end of the copy", func(rec record) bool { return rec.Done })
	r.stop()
	// A third start finds nothing new, in the copy neither.
	r.sink = newSink()
	r.run(nil, "*")
	r.write("app.log", "new\n")
	if es := r.sink.wait(t, 1); len(es) != 1 || message(es[0]) != "new" {
		t.Fatalf("%q", lastMessages(es))
	}
}

func TestRenamedWhileStopped(t *testing.T) {
	r := newRig(t)
	r.write("app.log", numbered(0, 100))
	r.run(nil, "*.log")
	first := r.sink.wait(t, 100)
	r.waitRecord("all", func(rec record) bool { return rec.Offset == int64(len(numbered(0, 100))) })
	r.stop()
	r.write("app.log", numbered(100, 200))
	r.do(os.Rename(r.path("app.log"), r.path("app.log.1")))
	r.write("app.log", numbered(200, 300))
	r.sink = newSink()
	r.run(nil, "*.log")
	wantNumbered(t, append(first, r.sink.wait(t, 200)...), 300)
}

func TestTruncatedWhileStopped(t *testing.T) {
	r := newRig(t)
	r.write("app.log", numbered(0, 100))
	r.run(nil, "*.log")
	old := position(r.sink.wait(t, 100)[99])
	r.waitRecord("all", func(rec record) bool { return rec.Offset == old.To })
	r.stop()
	r.do(os.Truncate(r.path("app.log"), 0))
	r.write("app.log", numbered(0, 3)) // begins as before
	r.sink = newSink()
	r.run(nil, "*.log")
	if p := position(r.sink.wait(t, 3)[0]); p.Source == old.Source || p.From != 0 || p.Skipped != 0 {
		t.Fatalf("%+v after %+v", p, old)
	}
}

// Truncated to nothing and regrown, unseen, to exactly what it was before but for the text.
func TestRegrownToTheSameSize(t *testing.T) {
	r := newRig(t)
	a := strings.Repeat("aaaaaaaaaaaaaaa\n", 100)
	r.write("app.log", a)
	r.run(nil, "*.log")
	r.sink.wait(t, 100)
	r.do(os.WriteFile(r.path("app.log"), []byte(strings.ReplaceAll(a, "a", "b")), 0o644))
	es := r.sink.wait(t, 200)
	if position(es[199]).Source == position(es[0]).Source || message(es[100]) != "bbbbbbbbbbbbbbb" {
		t.Fatalf("%+v", position(es[199]))
	}
}

func TestInodeReuse(t *testing.T) {
	r := newRig(t)
	r.write("a.log", numbered(0, 50))
	r.run(nil, "*.log")
	es := r.sink.wait(t, 50)
	r.waitRecord("all", func(rec record) bool { return rec.Offset > 0 && rec.Offset == position(es[49]).To })
	r.stop()
	// The file system decides whether an inode comes back; the registry can be made to say that it did.
	r.do(os.Remove(r.path("a.log")))
	r.write("b.log", numbered(50, 150))
	info := r.inodeOf("b.log")
	r.do(r.store.Range(keyPrefix, func(key string, _ []byte) error {
		var rec record
		if _, err := r.store.Get(key, &rec); err != nil {
			return err
		}
		rec.Inode = info
		return r.store.Set(key, rec)
	}))
	r.sink = newSink()
	r.run(nil, "*.log")
	wantNumbered(t, append(es, r.sink.wait(t, 100)...), 150)
}

func (r *rig) inodeOf(name string) uint64 {
	f, err := os.Open(r.path(name))
	r.do(err)
	defer f.Close()
	fa, err := stat(f)
	r.do(err)
	return fa.ino
}

// Two files that begin with the same banner are two files; so is one that leaves what it seemed to copy.
func TestSameBanner(t *testing.T) {
	r := newRig(t)
	r.write("app.log", "Starting server\none\n")
	r.write("app-error.log", "Starting server\n")
	r.run(nil, "*.log")
	r.sink.wait(t, 3)
	r.write("app-error.log", "two\n")
	r.sink.wait(t, 4)
	r.write("app.log", strings.Repeat("a long common beginning\n", 20))
	r.sink.wait(t, 24)
	r.copyFile("app.log", "app-copy.log")
	r.write("app-copy.log", "but then another end\n")
	if es := r.sink.wait(t, 24+23); len(wantWhole(t, es)) != 3 {
		t.Fatalf("%d sources, want 3", len(wantWhole(t, es)))
	}
}

// No copy is left: what could not be read is lost, and the registry says so; what comes then is read.
func TestTruncatedWithoutCopy(t *testing.T) {
	r := newRig(t)
	r.sink.set(true, true)
	r.write("app.log", numbered(0, 50_000))
	r.run(nil, "*.log")
	r.waitRecord("the file", func(rec record) bool { return rec.HeadLen > 0 })
	r.do(os.Truncate(r.path("app.log"), 0))
	r.write("app.log", "new\n")
	r.waitRecord("the second incarnation", func(rec record) bool { return rec.HeadLen == 4 })
	r.sink.set(false, false)
	deadline := time.Now().Add(testPatience)
	for n := 1; ; n++ {
		es := r.sink.wait(t, n)
		if message(es[n-1]) == "new" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the new incarnation was not read")
		}
	}
}
