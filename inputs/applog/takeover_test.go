package applog

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/elastic/beats/v7/libbeat/common"
)

// state is an entry of a registry of Filebeat 5 for one of the rig's files, as it is now.
func (r *rig) state(name string, offset int64, change ...func(m map[string]any)) map[string]any {
	r.t.Helper()
	var st unix.Stat_t
	r.do(unix.Stat(r.path(name), &st))
	m := map[string]any{
		"source": r.path(name), "offset": offset, "timestamp": time.Now().Format(time.RFC3339Nano), "ttl": -1, "type": "log",
		"FileStateOS": map[string]any{"inode": st.Ino, "device": st.Dev},
	}
	for _, f := range change {
		f(m)
	}
	return m
}

// registry writes a registry of Filebeat 5 and returns its path.
func (r *rig) registry(states ...map[string]any) string {
	r.t.Helper()
	text, err := json.Marshal(states)
	r.do(err)
	path := filepath.Join(r.t.TempDir(), "registry")
	r.do(os.WriteFile(path, text, 0o600))
	return path
}

// A file goes on where Filebeat has stopped: its first event says that what is before was skipped, and nothing comes twice, not even
// when the registry is still there at the next start, or gone.
func TestTakesOver(t *testing.T) {
	r := newRig(t)
	r.write("app.log", numbered(0, 50)+numbered(0, 10)) // what was shipped before is no matter
	at := int64(len(numbered(0, 50)))
	path := r.registry(r.state("app.log", at))
	r.run(map[string]any{"registry": path}, "*.log")
	es := r.sink.wait(t, 10)
	if p := position(es[0]); p.From != at || p.Skipped != at {
		t.Errorf("the first event has %+v", p)
	}
	wantNumbered(t, es, 10)
	r.waitRecord("all acknowledged", func(rec record) bool { return rec.Offset == at+int64(len(numbered(0, 10))) })
	r.stop()
	r.write("app.log", numbered(10, 20))
	r.run(map[string]any{"registry": path}, "*.log")
	wantNumbered(t, r.sink.wait(t, 20), 20)
	r.stop()
	r.do(os.Remove(path))
	r.write("app.log", numbered(20, 30))
	r.run(map[string]any{"registry": path}, "*.log")
	wantNumbered(t, r.sink.wait(t, 30), 30)
}

// What was taken over is durable before anything is shipped, and holds when nothing was acknowledged.
func TestTakenOverBeforeAnythingIsShipped(t *testing.T) {
	r := newRig(t)
	r.write("app.log", numbered(0, 10))
	at := int64(len(numbered(0, 4)))
	path := r.registry(r.state("app.log", at))
	r.sink.set(true, true)
	r.run(map[string]any{"registry": path}, "*.log")
	r.waitRecord("the offset", func(rec record) bool { return rec.Offset == at && rec.Shipped == 0 })
	r.stop()
	r.do(os.Remove(path))
	r.sink.set(false, false)
	r.run(map[string]any{"registry": path}, "*.log")
	if p := position(r.sink.wait(t, 6)[0]); p.From != at || p.Skipped != at {
		t.Errorf("the first event has %+v", p)
	}
}

// A file that was renamed while nobody looked is followed to its end, though no pattern lists it.
func TestTakesOverRenamed(t *testing.T) {
	r := newRig(t)
	r.write("app.log", numbered(0, 10))
	path := r.registry(r.state("app.log", int64(len(numbered(0, 10)))))
	r.write("app.log", numbered(0, 5))
	r.do(os.Rename(r.path("app.log"), r.path("app.log.1")))
	r.write("app.log", numbered(5, 8))
	r.run(map[string]any{"registry": path}, "*.log")
	es := r.sink.wait(t, 8)
	seen := map[string]int{}
	for _, e := range es {
		seen[message(e)]++
	}
	if len(seen) != 8 {
		t.Errorf("%d lines, want 8: %v", len(seen), seen)
	}
}

// What is not certainly the file that Filebeat has read is read from its beginning.
func TestDoubtfulStatesAreNotTakenOver(t *testing.T) {
	f := func(what string, offset int64, change func(r *rig, m map[string]any)) {
		t.Helper()
		r := newRig(t)
		r.write("app.log", numbered(0, 10))
		path := r.registry(r.state("app.log", offset, func(m map[string]any) { change(r, m) }))
		r.run(map[string]any{"registry": path}, "*.log")
		es := r.sink.wait(t, 10)
		wantNumbered(t, es, 10)
		if p := position(es[0]); p.From != 0 || p.Skipped != 0 {
			t.Errorf("%s: the first event has %+v", what, p)
		}
	}
	line := int64(len(numbered(0, 1)))
	nothing := func(*rig, map[string]any) {}
	f("shorter than what was shipped", 11*line, nothing)
	f("no line ends there", 3*line-1, nothing)
	f("nothing was shipped", 0, nothing)
	f("another inode", 3*line, func(_ *rig, m map[string]any) { m["FileStateOS"].(map[string]any)["inode"] = 1 << 50 })
	f("another device", 3*line, func(_ *rig, m map[string]any) { m["FileStateOS"].(map[string]any)["device"] = 1 << 20 })
	f("another path", 3*line, func(r *rig, m map[string]any) { m["source"] = r.path("other/app.log") })
	f("made after Filebeat had last written", 3*line, func(_ *rig, m map[string]any) { m["timestamp"] = "2020-01-01T00:00:00Z" })
}

// Several states of one file, as of the streams of a container: none of its lines may be passed over.
func TestTakesOverTheLeast(t *testing.T) {
	r := newRig(t)
	r.write("app.log", numbered(0, 10))
	line := int64(len(numbered(0, 1)))
	path := r.registry(
		r.state("app.log", 7*line, func(m map[string]any) { m["meta"] = map[string]any{"stream": "stdout"} }),
		r.state("app.log", 5*line, func(m map[string]any) { m["meta"] = map[string]any{"stream": "stderr"} }),
	)
	r.run(map[string]any{"registry": path}, "*.log")
	if p := position(r.sink.wait(t, 5)[0]); p.From != 5*line || p.Skipped != 5*line {
		t.Errorf("the first event has %+v", p)
	}
}

func TestRegistryOptions(t *testing.T) {
	r := newRig(t)
	r.write("app.log", numbered(0, 10))
	line := int64(len(numbered(0, 1)))
	r.options.Registry = r.registry(r.state("app.log", 6*line))
	r.run(map[string]any{"registry": "none"}, "*.log")
	wantNumbered(t, r.sink.wait(t, 10), 10)
	r.stop()

	other := newRig(t)
	other.write("app.log", numbered(0, 10))
	other.options.Registry = other.registry(other.state("app.log", 6*line))
	other.run(nil, "*.log") // auto
	if p := position(other.sink.wait(t, 4)[0]); p.From != 6*line {
		t.Errorf("the first event has %+v", p)
	}
	check := func(value, want string) {
		t.Helper()
		c := common.MustNewConfigFrom(map[string]any{"paths": []string{"/x"}, "registry": value})
		err := CheckRegistry(c, r.store, Options{})
		if (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("registry: %s: %v, want %q", value, err, want)
		}
	}
	bad := filepath.Join(t.TempDir(), "registry")
	r.do(os.WriteFile(bad, []byte("[{"), 0o600))
	check("auto", "")
	check("none", "")
	check("relative", "absolute path")
	check("/no/such/registry", "there is none")
	check(bad, fmt.Sprintf("%q", bad))
	check(other.options.Registry, "")
}
