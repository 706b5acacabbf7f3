package docker

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestDockerfiles(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(mod)
	files, err := filepath.Glob("*.Dockerfile")
	if err != nil || len(files) != 2 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text := string(b)
		if want := "FROM golang:" + string(version[1]) + "-"; !strings.Contains(text, want) {
			t.Errorf("%s does not build with %s", name, want)
		}
		ignored, err := os.ReadFile(name + ".dockerignore")
		if err != nil {
			t.Fatal(err)
		}
		f := func(path string) {
			t.Helper()
			if _, err := os.Stat(filepath.Join("../..", path)); err != nil {
				t.Errorf("%s uses what is not there: %v", name, err)
			}
			top, _, _ := strings.Cut(strings.TrimPrefix(path, "./"), "/")
			for _, line := range strings.Split(string(ignored), "\n") {
				if line == top {
					t.Errorf("%s uses %s, which its .dockerignore leaves out", name, path)
				}
			}
		}
		for _, line := range strings.Split(text, "\n") {
			words := strings.Fields(line)
			if len(words) > 2 && words[0] == "COPY" && !strings.HasPrefix(words[1], "--") {
				for _, path := range words[1 : len(words)-1] {
					f(path)
				}
			}
			if i := strings.Index(line, " ./cmd/"); i >= 0 {
				f(strings.TrimSpace(line[i:]))
			}
		}
	}
}
