package beat

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// No key that an input or output has is called unknown: the lists hold what the structures of their configurations name, and what
// Filebeat's reference shows.
func TestKeys(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/elastic/beats/v7").Output()
	if err != nil {
		t.Fatal(err)
	}
	beats := strings.TrimSpace(string(out))
	text, err := os.ReadFile(filepath.Join(beats, "filebeat/filebeat.reference.yml"))
	if err != nil {
		t.Fatal(err)
	}
	inputs, rest, ok := strings.Cut(string(text), "filebeat.autodiscover")
	_, outputs, also := strings.Cut(rest, "= Outputs =")
	outputs, _, end := strings.Cut(outputs, "= Paths =")
	if !ok || !also || !end {
		t.Fatal("the reference has other parts")
	}
	_, inputs, _ = strings.Cut(inputs, "filebeat.inputs:")
	check := func(what string, known []string, reference string, dirs ...string) {
		t.Helper()
		missing := map[string]bool{}
		see := func(key string) {
			if key, _, _ = strings.Cut(key, "."); key != "" && !slices.Contains(known, key) {
				missing[key] = true
			}
		}
		for _, m := range regexp.MustCompile(`(?m)^  #?([a-z_]+)[a-z_.]*:`).FindAllStringSubmatch(reference, -1) {
			see(m[1])
		}
		for _, dir := range dirs {
			if err := keysIn(dir, see); err != nil {
				t.Fatal(err)
			}
		}
		for key := range missing {
			t.Errorf("%s may have %q, which is not in the list", what, key)
		}
	}
	in := func(names ...string) (dirs []string) {
		for _, name := range names {
			dirs = append(dirs, filepath.Join(beats, name))
		}
		return dirs
	}
	check("an input", inputKeys, inputs, append(in("filebeat/input", "filebeat/inputsource", "filebeat/harvester", "filebeat/channel", "libbeat/reader"), "../inputs")...)
	check("an output", outputKeys, outputs, append(in("libbeat/outputs", "libbeat/common/transport"), "../outputs")...)
}

// keysIn calls see with each key of the structures below dir that are read from a configuration.
func keysIn(dir string, see func(string)) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			s, is := n.(*ast.StructType)
			if !is {
				return true
			}
			var keys []string
			read := false
			for _, f := range s.Fields.List {
				tag := ""
				if f.Tag != nil {
					tag = reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("config")
				}
				key, _, _ := strings.Cut(tag, ",")
				if read = read || tag != ""; key != "" {
					keys = append(keys, key)
				} else if tag == "" {
					for _, name := range f.Names {
						if name.IsExported() {
							keys = append(keys, strings.ToLower(name.Name)) // go-ucfg's rule
						}
					}
				}
			}
			if read {
				for _, key := range keys {
					see(key)
				}
			}
			return true
		})
		return nil
	})
}
