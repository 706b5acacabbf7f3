package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// units copies the units to a directory, with programs that are there on this machine.
func units(t *testing.T) (files []string) {
	t.Helper()
	names, err := filepath.Glob("*.service")
	if err != nil || len(names) != 2 {
		t.Fatal(names, err)
	}
	dir := t.TempDir()
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		there := regexp.MustCompile(`/usr/bin/tally\w*`).ReplaceAll(text, []byte("/bin/true"))
		there = regexp.MustCompile(`(?m)^Documentation=.*\n`).ReplaceAll(there, nil)
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, there, 0o644); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

func analyze(t *testing.T, args ...string) (string, error) {
	t.Helper()
	program, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Fatal("cannot find systemd-analyze; on Debian: apt-get install systemd")
	}
	out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
	return string(out), err
}

func TestVerify(t *testing.T) {
	for _, file := range units(t) {
		out, err := analyze(t, "verify", "--man=no", "--recursive-errors=no", file)
		if err != nil || strings.Contains(out, filepath.Base(file)) {
			t.Errorf("%s: %v\n%s", filepath.Base(file), err, out)
		}
	}
	// The check sees what is wrong.
	bad := filepath.Join(t.TempDir(), "bad.service")
	if err := os.WriteFile(bad, []byte("[Service]\nExecStart=/bin/true\nProtectSytem=strict\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, _ := analyze(t, "verify", "--man=no", bad); !strings.Contains(out, "ProtectSytem") {
		t.Errorf("a wrong key is not noticed: %s", out)
	}
}

// The exposure as systemd counts it (10 is a plain service) stays low: 1.5 for the server, 3.0 for the agent, which is root.
func TestSecurity(t *testing.T) {
	for _, file := range units(t) {
		threshold := "15"
		if filepath.Base(file) == "tallybeat.service" {
			threshold = "30"
		}
		if out, err := analyze(t, "security", "--offline=true", "--no-pager", "--threshold="+threshold, file); err != nil {
			t.Errorf("%s is more exposed than %s: %v\n%s", filepath.Base(file), threshold, err, out)
		}
	}
}
