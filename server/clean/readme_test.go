package clean

import (
	"os"
	"strings"
	"testing"
)

func TestReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```yaml\n")
	sample, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("no sample")
	}
	p, err := CompileFile(parse(t, sample))
	if err != nil {
		t.Fatal(err)
	}
	if ran, failed := p.Test(); ran != 1 || len(failed) != 0 {
		t.Errorf("%d tests, %+v", ran, failed)
	}
	for _, name := range readyNames() {
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("the ready pipeline %s is not named", name)
		}
	}
}
