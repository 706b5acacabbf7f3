package layout

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/tallylog/tally"

// pkg is what `go list -json` says of a package, as far as it is needed here.
type pkg struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Deps         []string
}

// list asks the go command. Packages that do not build are listed as well (-e): the arrows hold for them too.
func list(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-e", "-json=ImportPath,Imports,TestImports,XTestImports,Deps"}, args...)...)
	cmd.Dir = "../.."
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("cannot list %v: %v\n%s", args, err, stderr.String())
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("cannot decode what go list wrote: %v", err)
		}
		all = append(all, p)
	}
}

// within tells whether the import path names one of the folders or something below it.
func within(importPath string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(f string) bool {
		return importPath == module+"/"+f || strings.HasPrefix(importPath, module+"/"+f+"/")
	})
}

var (
	agent  = []string{"beat", "inputs", "outputs", "cmd/tallybeat"}
	server = []string{"server", "cmd/tally"}
)

// wrong says why a package may not import another, or nothing where it may.
func wrong(from, to string) string {
	ours := strings.HasPrefix(to, module+"/")
	switch {
	case within(from, "ledger", "plugins/pluginapi", "internal/durable", "internal/failpoint") && ours:
		return "is a leaf and imports nothing of ours"
	case within(from, "event") && ours && !within(to, "ledger", "event"):
		return "imports nothing of ours but ledger"
	case within(from, server...) && within(to, agent...):
		return "is of the server and never imports the agent"
	case within(from, agent...) && within(to, server...):
		return "is of the agent and never imports the server"
	case within(from, "inputs", "processors", "outputs") && within(to, "beat", "server"):
		return "is wired by beat and server and imports neither"
	}
	return ""
}

func TestArrows(t *testing.T) {
	all := list(t, "./...")
	if len(all) < 10 {
		t.Fatalf("go list found only %d packages", len(all))
	}
	for _, p := range all {
		// Imports of test files count: a test that needs the other side belongs under test/.
		for _, to := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			// A test in package x_test imports x itself.
			if why := wrong(p.ImportPath, to); why != "" && to != p.ImportPath {
				t.Errorf("%s imports %s, but %s", p.ImportPath, to, why)
			}
		}
		if slices.Contains([]string{"util", "utils", "common", "helper", "helpers"}, path.Base(p.ImportPath)) {
			t.Errorf("package %s: the name says nothing about its purpose", p.ImportPath)
		}
	}
}

// Go's plugin package and the C zstd of the store cannot be linked into one program: the dynamic loader of the one and the
// static archive of the other do not go together.
func TestServerHasNoPluginPackage(t *testing.T) {
	for _, p := range list(t, "./cmd/tally") {
		if slices.Contains(p.Deps, "plugin") {
			t.Errorf("%s depends on Go's plugin package%s", p.ImportPath, via(t, p, "plugin"))
		}
	}
}

// via names the dependencies of p that import what.
func via(t *testing.T, p pkg, what string) string {
	var s strings.Builder
	for _, d := range list(t, append([]string{"-deps"}, p.ImportPath)...) {
		if slices.Contains(d.Imports, what) {
			fmt.Fprintf(&s, ", by way of %s", d.ImportPath)
		}
	}
	return s.String()
}

func TestProgramsAreApart(t *testing.T) {
	for program, other := range map[string][]string{"./cmd/tally": agent, "./cmd/tallybeat": server} {
		for _, p := range list(t, program) {
			if len(p.Deps) == 0 {
				t.Errorf("go list found no dependencies of %s", program)
			}
			for _, d := range p.Deps {
				if within(d, other...) {
					t.Errorf("%s depends on %s, which is of the other program", program, d)
				}
			}
		}
	}
}

func TestWrong(t *testing.T) {
	f := func(from, to string, ok bool) {
		t.Helper()
		if why := wrong(module+"/"+from, to); (why == "") != ok {
			t.Errorf("%s importing %s: %q, want ok=%v", from, to, why, ok)
		}
	}
	f("ledger", "fmt", true)
	f("ledger", module+"/event", false)
	f("event", module+"/ledger", true)
	f("internal/durable", "os", true)
	f("internal/durable", module+"/internal/failpoint", false)
	f("server/buffer", module+"/internal/durable", true)
	f("event", module+"/processors/grok", false)
	f("server/admit", module+"/ledger", true)
	f("server/admit", module+"/server/buffer", true)
	f("server/intake/push", module+"/inputs/positions", false)
	f("server", module+"/beat", false)
	f("beat", module+"/server/query", false)
	f("beat", module+"/inputs/applog", true)
	f("inputs/journald", module+"/inputs/positions", true)
	f("inputs/journald", module+"/beat", false)
	f("cmd/tallybeat", module+"/beat", true)
	f("cmd/tallybeat", module+"/server/cmd", false)
	f("plugins/pluginapi", module+"/event", false)
	f("plugins/host", module+"/plugins/pluginapi", true)
	f("serverless", module+"/beat", true)
}
