package journald

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	input "github.com/elastic/beats/v7/filebeat/input/v2"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/logp"

	"github.com/tallylog/tally/inputs/positions"
)

// TestLiveRotation reads the path of one file while systemd-journal-remote writes to it and rotates it by itself, which it
// does when the file's hash table fills up.
func TestLiveRotation(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "system.journal")
	r := start(t, common.MapStr{"paths": []string{path}}, setup{})
	x := new(export)
	const entries = 40_000
	for i := range entries {
		fields := []string{"MESSAGE", fmt.Sprintf("line %d", i)}
		for f := range 10 {
			fields = append(fields, fmt.Sprintf("F%d", f), fmt.Sprintf("%d-%d", i, f))
		}
		x.add(fields...)
	}
	x.write(t, path)
	files, err := filepath.Glob(filepath.Join(dir, "system@*.journal"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the file was not rotated: %v, %v", files, err)
	}
	wantLines(t, r.wait(t, entries), 0, entries, 1)
	if len(r.lost) > 0 {
		t.Errorf("reported as lost: %+v", <-r.lost)
	}
}

// TestReaderIsRenewed reads more than one reader gives: every line comes once, of all readers.
func TestReaderIsRenewed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "system.journal")
	x := new(export)
	const n, size = 100, maxValue - 100
	for i := range n {
		x.add("MESSAGE", fmt.Sprint("line ", i), "_HOSTNAME", "node1", "PRIORITY", "6", "LONG", strings.Repeat("x", size))
	}
	x.write(t, path)
	var opened atomic.Int32
	r := start(t, common.MapStr{"paths": []string{path}}, setup{open: func(files []string, at place) (reader, error) {
		opened.Add(1)
		return openFiles(files, at)
	}})
	wantLines(t, r.wait(t, n), 0, n, 1)
	if k := opened.Load(); k < n*size/(renewAfter+batchBytes) {
		t.Errorf("%d readers gave %d MiB", k, n*size>>20)
	}
}

// TestDirectoryAppears starts with a directory that does not exist.
func TestDirectoryAppears(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	sub := filepath.Join(dir, testBoot) // named like a machine id
	r := start(t, common.MapStr{"paths": []string{dir}, "cursor_seek_fallback": "tail"}, setup{})
	waitFor(t, func() bool {
		var b begun
		ok, _ := r.store.Get("journald::"+dir, &b)
		return ok
	})
	if err := os.MkdirAll(sub, 0o700); err != nil {
		t.Fatal(err)
	}
	new(export).lines(5).write(t, filepath.Join(sub, "system.journal"))
	wantLines(t, r.wait(t, 5), 0, 5, 1)
}

// TestOpenFails has the reader fail to open for a while, as when the limit of open files is reached.
func TestOpenFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "system.journal")
	new(export).lines(5).write(t, path)
	tries := 0
	r := start(t, common.MapStr{"paths": []string{path}, "backoff": "10ms"}, setup{open: func(files []string, at place) (reader, error) {
		if tries++; tries < 4 {
			return nil, syscall.EMFILE
		}
		return openFiles(files, at)
	}})
	wantLines(t, r.wait(t, 5), 0, 5, 1)
	if tries != 4 {
		t.Errorf("opened %d times, want 4", tries)
	}
	if len(r.lost) > 0 {
		t.Errorf("reported as lost: %+v", <-r.lost)
	}
}

// TestTest checks configurations against what is there.
func TestTest(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "a.journal"), filepath.Join(dir, "b.journal")
	new(export).lines(1).write(t, good)
	if err := os.WriteFile(bad, make([]byte, 500), 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := positions.Open(filepath.Join(t.TempDir(), "positions"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	f := func(path, want string) {
		t.Helper()
		in, err := Plugin(logp.NewLogger("test"), store, Options{}).Manager.Create(common.MustNewConfigFrom(common.MapStr{"paths": []string{path}}))
		if err != nil {
			t.Fatal(err)
		}
		err = in.Test(input.TestContext{})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
	f(good, "")
	f(bad, "not a journal file")
	f(filepath.Join(dir, "c.journal"), "cannot find journal")
	f(filepath.Join(dir, "nowhere"), "cannot find journal")
}

// TestReadme loads the sample configuration.
func TestReadme(t *testing.T) {
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, sample, _ := strings.Cut(string(b), "```yaml\n")
	sample, _, _ = strings.Cut(sample, "```")
	raw, err := common.NewConfigWithYAML([]byte(sample), "README.md")
	if err != nil {
		t.Fatal(err)
	}
	list, err := raw.Child("tallybeat.inputs", 0)
	if err != nil {
		t.Fatal(err)
	}
	c := defaultConfig()
	if err := list.Unpack(&c); err != nil {
		t.Fatal(err)
	}
	if err := c.prepare(time.Now(), false); err != nil || c.match == nil {
		t.Errorf("the sample gives the matches %v, %v", c.match, err)
	}
}
