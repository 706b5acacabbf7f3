package dialects

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

var update = flag.Bool("update", false, "write what the adapters make of the cases as what is wanted")

// TestCases translates every <adapter>/testdata/<case>/input.yml. Beside it stand native.yml, the wanted configuration, and
// notes.txt, the wanted notes, one a line; or error.txt alone, where it is refused. The name that the program goes by is
// the first line's comment "# as <name>", else tallybeat.
func TestCases(t *testing.T) {
	inputs, err := filepath.Glob("*/testdata/*/input.yml")
	if err != nil || len(inputs) < 10 {
		t.Fatalf("%d cases: %v", len(inputs), err)
	}
	for _, input := range inputs {
		t.Run(filepath.Dir(input), func(t *testing.T) {
			text, err := os.ReadFile(input)
			if err != nil {
				t.Fatal(err)
			}
			beat := "tallybeat"
			if first, _, _ := strings.Cut(string(text), "\n"); strings.HasPrefix(first, "# as ") {
				beat = strings.TrimPrefix(first, "# as ")
			}
			got := map[string]string{"native.yml": "", "notes.txt": "", "error.txt": ""}
			r, _, err := Translate(beat, parse(t, text))
			if err != nil {
				got["error.txt"] = err.Error() + "\n"
			} else {
				got["native.yml"] = print(t, r.Config)
				for _, n := range r.Notes {
					if n.Text != "" {
						got["notes.txt"] += n.String() + "\n"
					}
				}
				again, changed, err := Translate(beat, parse(t, []byte(got["native.yml"])))
				if err != nil || changed || len(again.Notes) > 0 {
					t.Errorf("what came out is not native: changed %v, %v, %v", changed, again.Notes, err)
				}
			}
			for name, got := range got {
				name := filepath.Join(filepath.Dir(input), name)
				if *update {
					if err := write(name, got); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(name)
				if err != nil && !os.IsNotExist(err) {
					t.Fatal(err)
				}
				if got != string(want) {
					t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
				}
			}
		})
	}
}

func write(name, text string) error {
	if text == "" {
		if err := os.Remove(name); err != nil && !os.IsNotExist(err) {
			return err
		}
		return nil
	}
	return os.WriteFile(name, []byte(text), 0o644)
}

func parse(t *testing.T, text []byte) map[string]any {
	t.Helper()
	c, err := Tree(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func print(t *testing.T, c map[string]any) string {
	t.Helper()
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(c); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
