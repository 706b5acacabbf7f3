package applog

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// A file that is written, copied and truncated faster than anybody can look loses nothing while its copies are there, though no pattern
// lists them.
func TestTruncatedBeforeSeen(t *testing.T) {
	for _, first := range []string{"app.log", "beside.log"} {
		r := newRig(t)
		r.write("app.log", "")
		r.write(first, numbered(0, 10))
		r.run(nil, "app.log", "beside.log")
		n := 10
		r.sink.wait(t, n) // the directory is watched from here on
		const times = 40
		for i := range times {
			r.write("app.log", numbered(n, n+10))
			n += 10
			text, err := os.ReadFile(r.path("app.log"))
			r.do(err)
			r.do(os.WriteFile(r.path(fmt.Sprint("app.log.", i)), text, 0o644))
			r.do(os.Truncate(r.path("app.log"), 0))
		}
		r.write("app.log", numbered(n, n+10))
		wantNumbered(t, r.sink.wait(t, n+10), n+10)
		r.stop()
		es := len(r.sink.wait(t, n+10))
		r.run(nil, "app.log", "beside.log") // what the registry knows now are ended sources
		r.write("app.log", numbered(n+10, n+11))
		wantNumbered(t, r.sink.wait(t, es+1), n+11)
		r.stop()
	}
}

// What is no copy of a file that was truncated is not read, whatever its name.
func TestNewNamesAreNotRead(t *testing.T) {
	r := newRig(t)
	r.write("app.log", numbered(0, 10))
	r.run(nil, "app.log")
	r.sink.wait(t, 10)
	time.Sleep(2 * fileTick) // so that these are younger, by the files' times too
	r.write("app.log.1", "something else that somebody has put there, which is longer than what proves a copy, and has two lines of text\nthe second\n")
	r.write("app.log.2", numbered(0, 10))
	r.write("app.log.3", numbered(0, 5))
	r.write("app.log.old", "neither a number nor a date\n")
	r.write("app.log", numbered(10, 11))
	r.sink.wait(t, 11)
	time.Sleep(1500 * time.Millisecond) // whatever comes, it comes within a second
	wantNumbered(t, r.sink.wait(t, 11), 11)
}

func TestCopyNames(t *testing.T) {
	for name, want := range map[string]string{
		"app.log.1": "app.log", "app.log-20260102": "app.log", "app.log.2026-01-02.gz": "app.log", "app-20260102.log": "app.log",
		"app.1.log.zst": "app.log", "app.log.wf": "", "app.log.1.bak": "", "app2.log": "", "app.log": "", "other.log.1": "", "app.log.": "",
	} {
		d := &discoverer{files: newFiles()}
		d.paths["/d/app.log"] = &handle{listed: true}
		if got := strings.TrimPrefix(d.copyOf("/d/"+name), "/d/"); got != want {
			t.Errorf("%s is a copy of %q, want %q", name, got, want)
		}
	}
}
