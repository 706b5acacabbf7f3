package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/tallylog/tally/test/rig"
)

// TestStoppedUnderLoad: an agent that is stopped and started again while it ships writes no line twice to output.file, and leaves out none.
func TestStoppedUnderLoad(t *testing.T) {
	const n = 60_000
	dir := t.TempDir()
	log, out := filepath.Join(dir, "a.log"), filepath.Join(dir, "out")
	write(t, log, numbered(0, n))
	kinds := []string{"log", "filestream", "applog"}
	inputs := ""
	for _, kind := range kinds {
		inputs += fmt.Sprintf("- {type: %s, id: %s, paths: [%q]", kind, kind, log)
		if kind == "applog" {
			inputs += ", registry: none" // it is not to go on where another of these inputs has got to
		}
		inputs += "}\n"
	}
	write(t, filepath.Join(dir, "tallybeat.yml"), fmt.Sprintf("tallybeat.shutdown_timeout: 60s\ntallybeat.inputs:\n%soutput.file: {path: %q, filename: out, rotate_every_kb: 1000000, number_of_files: 100}\n", inputs, out))
	start := func() *rig.Process {
		return rig.Start(t, nil, rig.Tallybeat(t), "-e", "-c", filepath.Join(dir, "tallybeat.yml"), "--path.home", dir)
	}
	written := func() (n int) {
		names, _ := filepath.Glob(filepath.Join(out, "out*"))
		for _, name := range names {
			if text, err := os.ReadFile(name); err == nil {
				n += bytes.Count(text, []byte("\n"))
			}
		}
		return n
	}
	for range 3 {
		a, before := start(), written()
		rig.Eventually(t, time.Minute, "some lines", func() bool { return written() > before || written() == len(kinds)*n })
		a.Signal(syscall.SIGTERM)
		if code := a.Wait(2 * time.Minute); code != 0 {
			t.Fatalf("exit code %d: %s", code, a.Log())
		}
	}
	a := start()
	rig.Eventually(t, 2*time.Minute, "all lines", func() bool { return written() >= len(kinds)*n })
	if code := a.Stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	seen := map[string]map[string]int{}
	for _, kind := range kinds {
		seen[kind] = map[string]int{}
	}
	names, _ := filepath.Glob(filepath.Join(out, "out*"))
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		for s := bufio.NewScanner(f); s.Scan(); {
			var e struct {
				Message string
				Input   struct{ Type string }
			}
			if err := json.Unmarshal(s.Bytes(), &e); err != nil {
				t.Fatalf("%s: %v: %s", name, err, s.Text())
			}
			seen[e.Input.Type][e.Message]++
		}
		f.Close()
	}
	for kind, lines := range seen {
		total := 0
		for _, k := range lines {
			total += k
		}
		if len(lines) != n || total != n {
			t.Errorf("%s: %d lines, %d of them different, want %d", kind, total, len(lines), n)
		}
	}
}
