package processors

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadme(t *testing.T) {
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	_, rest, _ := strings.Cut(text, "```yaml\nprocessors:\n")
	sample, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("no sample")
	}
	if _, err := chain(t, sample); err != nil {
		t.Error(err)
	}
	for _, name := range Names() {
		if !strings.Contains(text, "["+name+"]") && !strings.Contains(text, "`"+name+"`") && !strings.Contains(text, "["+name+",") && !strings.Contains(text, ", "+name+"]") {
			t.Errorf("README.md does not name %s", name)
		}
	}
}

// TestSamples holds that the sample of every processor loads as it stands, conditions included.
func TestSamples(t *testing.T) {
	files, err := filepath.Glob("*/README.md")
	if err != nil {
		t.Fatal(err)
	}
	loaded := 0
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, found := strings.Cut(string(b), "```yaml\nprocessors:\n")
		if !found {
			continue // conditions are no processor
		}
		sample, _, _ := strings.Cut(rest, "```")
		if _, err := chain(t, sample); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		loaded++
	}
	if loaded < 25 {
		t.Errorf("only %d samples", loaded)
	}
}
