package multiline

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/elastic/beats/v7/libbeat/common"
)

// events joins lines as a reader does.
func events(c *Config, lines []string, cutAfter int) (out []string) {
	var e Event
	ended := true
	for i, line := range lines {
		begins, ends := c.Next(&e, line, i == cutAfter)
		if begins || ended {
			out = append(out, line)
		} else {
			out[len(out)-1] += "\n" + line
		}
		if ended && !begins {
			out = append(out, "a line that follows an end does not begin an event")
		}
		ended = ends
	}
	return out
}

func config(t *testing.T, keys map[string]any) *Config {
	t.Helper()
	c := new(Config)
	if err := common.MustNewConfigFrom(keys).Unpack(c); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestPresets: each file of testdata has the events that the preset of its name makes, parted by lines of three equals signs. A cut
// after any line ends the event there, and changes nothing before it.
func TestPresets(t *testing.T) {
	for _, name := range Presets() {
		text, err := os.ReadFile(filepath.Join("testdata", name+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n===\n")
		lines := strings.Split(strings.Join(want, "\n"), "\n")
		c := config(t, map[string]any{"preset": name})
		if got := events(c, lines, -1); strings.Join(got, "\n===\n") != strings.Join(want, "\n===\n") {
			t.Errorf("%s makes\n%s", name, strings.Join(got, "\n===\n"))
		}
		for cut := range lines {
			var e Event
			for i, line := range lines[:cut+1] {
				if _, ends := c.Next(&e, line, i == cut); ends != (i == cut) {
					t.Fatalf("%s: an event ends with line %d, cut was %d", name, i, cut)
				}
			}
			if begins, _ := c.Next(&e, " at x", false); !begins {
				t.Fatalf("%s: the line behind the cut %d does not begin an event", name, cut)
			}
		}
	}
}

func TestForms(t *testing.T) {
	f := func(keys map[string]any, lines string, want string) {
		t.Helper()
		if got := strings.Join(events(config(t, keys), strings.Split(lines, "|"), -1), "$"); got != strings.ReplaceAll(want, "|", "\n") {
			t.Errorf("%v makes %q of %q, want %q", keys, got, lines, want)
		}
	}
	f(map[string]any{"pattern": `\\$`, "match": "before"}, `a \|b \|c|d`, `a \|b \|c$d`)
	f(map[string]any{"pattern": `^\[`, "negate": true, "match": "after"}, "x|[1] a|b|[2] c", "x$[1] a|b$[2] c")
	f(map[string]any{"pattern": "^ ", "match": "after", "max_lines": 2}, "x| 1| 2| 3| 4", "x| 1$ 2| 3$ 4")
	f(map[string]any{"pattern": "^ ", "match": "after"}, " 1| 2|x|y", " 1| 2$x$y")
}

func TestRefused(t *testing.T) {
	f := func(want string, keys map[string]any) {
		t.Helper()
		if err := common.MustNewConfigFrom(keys).Unpack(new(Config)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", keys, err, want)
		}
	}
	f("want one of go, java, nodejs, python", map[string]any{"preset": "cobol"})
	f("excludes", map[string]any{"preset": "java", "pattern": "x"})
	f("needs a pattern", map[string]any{"match": "after"})
	f("after or before", map[string]any{"pattern": "x"})
	f("above 0", map[string]any{"preset": "java", "max_lines": 0})
	f("only pattern", map[string]any{"preset": "java", "type": "count"})
}
