package applog

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/elastic/beats/v7/libbeat/logp"
	"golang.org/x/sys/unix"
	"golang.org/x/text/encoding/unicode"
)

func TestTail(t *testing.T) {
	r := newRig(t)
	r.write("a.log", numbered(0, 3))
	r.run(nil, "*.log")
	e := r.sink.wait(t, 3)[1]
	p := position(e)
	line := "line 000001 of the application's own log"
	if message(e) != line || p.From != int64(len(line)+1) || p.To != 2*p.From || p.Skipped != 0 || len(p.Sum) != 16 || !strings.HasPrefix(p.Source, "file:") {
		t.Fatalf("%q %+v", message(e), p)
	}
	if off, _ := e.Fields.GetValue("log.offset"); off != p.From {
		t.Fatalf("log.offset %v", off)
	}
	if path, _ := e.Fields.GetValue("log.file.path"); path != r.path("a.log") {
		t.Fatalf("log.file.path %v", path)
	}
	if time.Since(e.Timestamp) > time.Hour {
		t.Fatalf("@timestamp %v", e.Timestamp)
	}
	r.write("a.log", numbered(3, 6))
	r.sink.wait(t, 6)
	r.write("b.log", numbered(6, 9))
	r.sink.wait(t, 9)
	r.write("sub/c.log", "not listed\n")
	r.write("a.log", numbered(9, 10))
	es := r.sink.wait(t, 10)
	wantNumbered(t, es, 10)
}

func TestLateDirectories(t *testing.T) {
	r := newRig(t)
	r.run(map[string]any{"rescan_interval": "1h"}, "pods/*/volumes/kubernetes.io~empty-dir/applog-*/*.log", "deep/**/*.log")
	name := "pods/uid-1/volumes/kubernetes.io~empty-dir/applog-5c1f-endname-web/x.log"
	r.write(name, numbered(0, 2))
	es := r.sink.wait(t, 2)
	for k, want := range map[string]string{"kubernetes.pod.uid": "uid-1", "service.id": "5c1f", "applog.title": "web"} {
		if got, _ := es[0].Fields.GetValue(k); got != want {
			t.Errorf("%s is %v, want %s", k, got, want)
		}
	}
	r.write("deep/x.log", numbered(2, 3))
	r.sink.wait(t, 3)
	r.write("deep/a/b/c/x.log", numbered(3, 4))
	r.sink.wait(t, 4)
	// A directory that goes and comes back is a new one.
	r.do(os.RemoveAll(r.path("deep/a")))
	r.write("deep/a/b/c/y.log", numbered(4, 5))
	wantNumbered(t, r.sink.wait(t, 5), 5)
}

func TestRestartAfterPartialAck(t *testing.T) {
	r := newRig(t)
	r.options.Bundles = false
	r.sink.set(false, true)
	r.write("a.log", numbered(0, 1000))
	r.run(nil, "*.log")
	first := r.sink.wait(t, 1000)
	r.sink.ack(400)
	r.waitRecord("offset of line 400", func(rec record) bool { return rec.Offset == position(first[400]).From })
	r.stop()
	r.sink = newSink()
	r.run(nil, "*.log")
	again := r.sink.wait(t, 600)
	for i, e := range again[:600] {
		if a, b := position(e), position(first[400+i]); a.ID() != b.ID() || message(e) != message(first[400+i]) {
			t.Fatalf("event %d is re-sent as %+v, was %+v", 400+i, a, b)
		}
	}
	r.write("a.log", numbered(1000, 1001))
	es := r.sink.wait(t, 601)
	wantNumbered(t, append(first[:400:400], es...), 1001)
}

func TestDroppedEventsAreSkipped(t *testing.T) {
	r := newRig(t)
	r.options.Bundles = false
	r.sink.drop = func(m string) bool { return strings.Contains(m, "drop") }
	r.write("a.log", "one\ndrop\ndrop\ntwo\ndrop\n")
	r.run(nil, "*.log")
	es := r.sink.wait(t, 2)
	if p := position(es[1]); p.From != 14 || p.Skipped != 10 {
		t.Fatalf("%+v", p)
	}
	r.waitRecord("everything done", func(rec record) bool { return rec.Offset == 23 && rec.Shipped == 18 })
	r.stop()
	r.sink = newSink()
	r.write("a.log", "three\n")
	r.run(nil, "*.log")
	if p := position(r.sink.wait(t, 1)[0]); p.From != 23 || p.Skipped != 5 {
		t.Fatalf("after a restart: %+v", p)
	}
}

func TestLines(t *testing.T) {
	r := newRig(t)
	long := strings.Repeat("0123456789", 50_000) // several slices
	r.write("a.log", "crlf\r\n\n\r\nafter blank\n"+strings.Repeat("é", 40)+"\n"+long+"\nend\nhalf")
	r.run(map[string]any{"max_bytes": 41}, "*.log")
	es := r.sink.wait(t, 5)
	want := []string{"crlf", "after blank", strings.Repeat("é", 20), long[:41], "end"}
	for i, e := range es {
		if message(e) != want[i] {
			t.Errorf("message %d is %q, want %q", i, message(e), want[i])
		}
		flags, _ := e.Fields.GetValue("log.flags")
		if (flags != nil) != (i == 2 || i == 3) {
			t.Errorf("message %d has flags %v", i, flags)
		}
	}
	if p := position(es[1]); p.Skipped != 3 || p.From != 9 {
		t.Errorf("blank lines: %+v", p)
	}
	if p := position(es[3]); p.To-p.From != 41 || p.Skipped != 0 {
		t.Errorf("a long line has the range %+v", p)
	}
	if p, q := position(es[4]), position(es[3]); p.From != q.From+int64(len(long))+1 || p.Skipped != 0 {
		t.Errorf("the line behind a long one has the range %+v, behind %+v", p, q)
	}
	r.write("a.log", " is whole\n")
	es = r.sink.wait(t, 6)
	if message(es[5]) != "half is whole" {
		t.Errorf("half a line became %q", message(es[5]))
	}
}

func TestHalfLine(t *testing.T) {
	r := newRig(t)
	r.sink.set(false, true)
	r.write("a.log", "first\nhalf a line")
	r.write("b.log", "no newline at all")
	r.run(map[string]any{"partial_timeout": "50ms"}, "*.log")
	es := r.sink.wait(t, 3)
	r.waitRecord("the cut", func(rec record) bool { return len(rec.Cuts) == 1 && rec.Cuts[0] == 17 && rec.HeadLen == 6 })
	r.stop()
	// The rest of the line comes while nothing was acknowledged: the replay must cut at the same place.
	r.write("a.log", ", the rest\nlast\n")
	r.sink = newSink()
	r.run(map[string]any{"partial_timeout": "1h"}, "*.log")
	again := r.sink.wait(t, 5)
	ids := map[string]string{}
	for _, e := range again {
		p := position(e)
		ids[p.ID()] = message(e)
	}
	for _, e := range es {
		p := position(e)
		if ids[p.ID()] != message(e) {
			t.Errorf("%q is not re-sent as the same event: %v", message(e), ids)
		}
	}
	wantWhole(t, again)
}

func TestHole(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "before\n")
	f, err := os.OpenFile(r.path("a.log"), os.O_WRONLY, 0)
	r.do(err)
	defer f.Close()
	r.run(nil, "*.log")
	r.sink.wait(t, 1)
	_, err = f.WriteAt([]byte("after\n"), 10<<20)
	r.do(err)
	es := r.sink.wait(t, 2)
	if p := position(es[1]); message(es[1]) != "after" || p.From != 10<<20 || p.Skipped != 10<<20-7 {
		t.Fatalf("%q %+v", message(es[1]), p)
	}
	// Space that a writer has reserved is waited for.
	r.do(f.Truncate(20 << 20))
	_, err = f.WriteAt([]byte("in reserved space\n"), 10<<20+6)
	r.do(err)
	if es = r.sink.wait(t, 3); message(es[2]) != "in reserved space" || position(es[2]).Skipped != 0 {
		t.Fatalf("%q %+v", message(es[2]), position(es[2]))
	}
	wantWhole(t, es)
}

func TestEncodings(t *testing.T) {
	r := newRig(t)
	text := "Grüße 错误 Ċ\r\nsecond\n" // Ċ is 0x010a: half of it looks like a newline
	for name, e := range map[string]unicode.Endianness{"utf-16le-bom": unicode.LittleEndian, "utf-16-bom": unicode.BigEndian} {
		b, err := unicode.UTF16(e, unicode.UseBOM).NewEncoder().Bytes([]byte(text))
		r.do(err)
		r.sink = newSink()
		r.write(name+"/a.log", string(b))
		r.run(map[string]any{"encoding": name}, name+"/*.log")
		es := r.sink.wait(t, 2)
		if message(es[0]) != "Grüße 错误 Ċ" || message(es[1]) != "second" {
			t.Errorf("%s: %q", name, lastMessages(es))
		}
		if end := wantWhole(t, es)[position(es[0]).Source]; end != int64(len(b)) {
			t.Errorf("%s: ends at %d of %d", name, end, len(b))
		}
		r.stop()
	}
	r.sink = newSink()
	r.write("gbk/a.log", "\xb4\xed\xce\xf3\n")
	r.run(map[string]any{"encoding": "gbk"}, "gbk/*.log")
	if es := r.sink.wait(t, 1); message(es[0]) != "错误" {
		t.Errorf("gbk: %q", message(es[0]))
	}
}

func TestStartAtTail(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "old\nolder\nha")
	r.run(map[string]any{"start": "tail"}, "*.log")
	r.waitRecord("the tail", func(rec record) bool { return rec.Offset == 10 })
	r.write("a.log", "lf\n")
	r.write("b.log", "appears later\n")
	es := r.sink.wait(t, 2)
	for _, e := range es {
		p := position(e)
		if m := message(e); m == "half" && (p.From != 10 || p.Skipped != 10) || m != "half" && p.From != 0 {
			t.Errorf("%q %+v", m, p)
		}
	}
}

func TestLinksAndOddFiles(t *testing.T) {
	r := newRig(t)
	r.write("real/a.log", numbered(0, 10))
	r.do(os.Symlink(r.path("real/a.log"), r.path("link.log")))
	r.do(os.Symlink(r.path("real"), r.path("other")))
	r.do(os.Link(r.path("real/a.log"), r.path("hard.log")))
	r.do(unix.Mkfifo(r.path("fifo.log"), 0o644))
	r.do(os.Mkdir(r.path("dir.log"), 0o755))
	r.do(os.Symlink(r.path("nowhere"), r.path("dangling.log")))
	r.run(nil, "*.log", "*/*.log")
	r.write("real/a.log", numbered(10, 20))
	r.sink.wait(t, 20)
	// A file whose name a directory takes, and the other way round.
	r.write("x.log", numbered(20, 21))
	r.sink.wait(t, 21)
	r.do(os.Remove(r.path("x.log")))
	r.do(os.Mkdir(r.path("x.log"), 0o755))
	r.do(os.Remove(r.path("dir.log")))
	r.write("dir.log", numbered(21, 22))
	wantNumbered(t, r.sink.wait(t, 22), 22)
}

func TestManyFilesFewDescriptors(t *testing.T) {
	r := newRig(t)
	const files, limit = 2000, 16
	for i := range files {
		r.write(fmt.Sprintf("d%d/%d.log", i%20, i), numbered(i, i+1))
	}
	r.run(map[string]any{"max_open_files": limit}, "*/*.log")
	r.sink.wait(t, files)
	fds := 0
	list, err := os.ReadDir("/proc/self/fd")
	r.do(err)
	for _, e := range list {
		if to, err := os.Readlink(filepath.Join("/proc/self/fd", e.Name())); err == nil && strings.HasPrefix(to, r.dir) {
			fds++
		}
	}
	if fds > limit {
		t.Errorf("%d files are open, at most %d may be", fds, limit)
	}
	for i := range files {
		r.write(fmt.Sprintf("d%d/%d.log", i%20, i), numbered(files+i, files+i+1))
	}
	wantNumbered(t, r.sink.wait(t, 2*files), 2*files)
}

// What cannot be read now is tried again.
func TestReadableLater(t *testing.T) {
	r := newRig(t)
	r.write("a.log", numbered(0, 1))
	r.do(os.Chmod(r.path("a.log"), 0)) // root reads it all the same
	r.do(os.Symlink(r.path("later/b"), r.path("link.log")))
	r.run(nil, "*.log")
	r.do(os.Chmod(r.path("a.log"), 0o644))
	r.sink.wait(t, 1)
	r.write("later/b", numbered(1, 2)) // no event tells of it
	wantNumbered(t, r.sink.wait(t, 2), 2)
}

// Two inputs of one agent whose patterns overlap do not both read a file.
func TestOverlappingInputs(t *testing.T) {
	r := newRig(t)
	plugin := Plugin(logp.NewLogger("test"), r.store, r.options)
	r.write("a.log", numbered(0, 500))
	r.runWith(plugin, nil, "*.log")
	r.sink.wait(t, 500)
	stopFirst := r.stop
	r.runWith(plugin, nil, "a.*", "b.*")
	stopSecond := r.stop
	r.stop = func() { stopFirst(); stopSecond() }
	r.write("b.log", numbered(500, 1000)) // whichever is first
	r.write("a.log", numbered(1000, 1500))
	r.sink.wait(t, 1500)
	r.write("b.log", numbered(1500, 1501))
	wantNumbered(t, r.sink.wait(t, 1501), 1501)
}
