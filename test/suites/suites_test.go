package suites

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/test/rig"
)

// suite is one beat's system tests.
type suite struct {
	beat    string
	version string   // of github.com/elastic/beats/v7
	files   []string // of the module that the tests need, below its root
	passed  int      // how many must pass at least: none may be skipped unseen
	args    []string
}

func TestJournalbeat(t *testing.T) {
	run(t, suite{
		beat: "journalbeat", version: "v7.10.2", passed: 12,
		files: []string{"journalbeat/tests/system", "journalbeat/conftest.py", "libbeat/tests/system"},
	})
}

func TestFilebeat(t *testing.T) {
	run(t, suite{
		beat: "filebeat", version: "v7.17.29", passed: 170,
		files: []string{
			"filebeat/tests", "filebeat/conftest.py", "filebeat/_meta", "filebeat/module", "filebeat/modules.d", "filebeat/scripts", "filebeat/generator",
			"filebeat/filebeat.yml", "filebeat/filebeat.reference.yml", "libbeat/tests/system", "libbeat/_meta",
		},
		// They mostly wait, and some only for half a second, in which a busy machine does not start a program.
		args: []string{"-n", "6", "--dist", "loadgroup", "--reruns", "2"},
	})
}

func run(t *testing.T, s suite) {
	python := environment(t)
	dir := t.TempDir()
	// The tests start ./<beat>.test with a flag that only test binaries have, and look for the word that those print at the end.
	module := download(t, s.version)
	for _, name := range s.files {
		copyTree(t, filepath.Join(module, name), filepath.Join(dir, name))
	}
	home := filepath.Join(dir, s.beat)
	if err := os.Symlink(rig.Tallybeat(t), filepath.Join(home, s.beat)); err != nil {
		t.Fatal(err)
	}
	script := `#!/bin/sh
shift
for a in "$@"; do
	case "$a" in export|generate|modules|keystore|version|setup|test) "${0%.test}" "$@"; code=$?; printf '\nPASS\n'; exit $code;; esac
done
exec "${0%.test}" "$@"
`
	if err := os.WriteFile(filepath.Join(home, s.beat+".test"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	args := append([]string{"-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tally", "--timeout=90", "-rfER", "tests/system"}, s.args...)
	c := exec.CommandContext(ctx, python, args...)
	c.Dir = home
	c.Env = append(os.Environ(), "PYTHONPATH="+here, "PYTHONDONTWRITEBYTECODE=1", "TALLY_LEFT_OUT="+filepath.Join(here, "left_out.txt"))
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 10 * time.Second
	out, err := c.CombinedOutput()
	m := regexp.MustCompile(`(\d+) passed`).FindSubmatch(out)
	passed := 0
	if m != nil {
		passed, _ = strconv.Atoi(string(m[1]))
	}
	if err != nil || passed < s.passed {
		t.Errorf("%d tests of %s passed, want %d and no failure: %v\n%s", passed, s.beat, s.passed, err, out[max(0, len(out)-20_000):])
	}
	for line := range bytes.Lines(out) {
		if bytes.HasPrefix(line, []byte("RERUN ")) {
			t.Logf("%s", bytes.TrimSpace(line))
		}
	}
	t.Logf("%s", bytes.TrimSpace(out[bytes.LastIndexByte(bytes.TrimSpace(out), '\n')+1:]))
}

// download returns the folder of a version of Beats in the module cache.
func download(t *testing.T, version string) string {
	t.Helper()
	c := exec.Command("go", "mod", "download", "-json", "github.com/elastic/beats/v7@"+version)
	c.Dir = rig.Root(t)
	out, err := c.Output()
	var m struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &m); err != nil || jsonErr != nil || m.Dir == "" {
		t.Fatalf("cannot download Beats %s: %v %v %s", version, err, jsonErr, m.Error)
	}
	return m.Dir
}

// copyTree copies files out of the module cache, whose own nobody may write.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, b, 0o644)
	})
	if err != nil {
		t.Fatalf("cannot copy %s: %v", from, err)
	}
}

// environment returns the Python of the virtual environment for requirements.txt, which is made once for each of its contents.
func environment(t *testing.T) string {
	t.Helper()
	wanted, err := os.ReadFile("requirements.txt")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(wanted)
	dir := filepath.Join(rig.Root(t), "build", "suites-"+hex.EncodeToString(sum[:6]))
	python := filepath.Join(dir, "bin", "python")
	done := filepath.Join(dir, "done")
	if _, err := os.Stat(done); err == nil {
		return python
	}
	step := func(name string, args ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		c := exec.CommandContext(ctx, name, args...)
		c.Env = append(os.Environ(), "PIP_DISABLE_PIP_VERSION_CHECK=1")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("cannot prepare Python for the suites: %s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
	}
	step("python3", "-m", "venv", "--clear", dir)
	step(python, "-m", "pip", "install", "-q", "-r", "requirements.txt")
	if err := os.WriteFile(done, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return python
}
