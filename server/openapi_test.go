package server

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// document is what the tests look at of openapi.json.
type document struct {
	OpenAPI string `json:"openapi"`
	Paths   map[string]map[string]struct {
		OperationID string                     `json:"operationId"`
		Summary     string                     `json:"summary"`
		Responses   map[string]json.RawMessage `json:"responses"`
		Parameters  []struct {
			Ref  string `json:"$ref"`
			Name string
			In   string
		}
	}
	Components map[string]map[string]json.RawMessage
}

func (r *running) document() (document, any) {
	r.t.Helper()
	code, text, _ := r.do("GET", "/openapi.json", "")
	var d document
	var raw any
	if code != 200 || json.Unmarshal([]byte(text), &d) != nil || json.Unmarshal([]byte(text), &raw) != nil || d.OpenAPI != "3.0.3" {
		r.t.Fatalf("GET /openapi.json: %d %.200s", code, text)
	}
	if _, same, _ := r.do("GET", "/api/v1/openapi.json", ""); same != text {
		r.t.Error("the two addresses of the document differ")
	}
	return d, raw
}

// TestDescription: the document holds together.
func TestDescription(t *testing.T) {
	r := run(t, t.TempDir())
	d, raw := r.document()
	ids := map[string]string{}
	used := map[string]bool{}
	for path, methods := range d.Paths {
		for method, op := range methods {
			where := method + " " + path
			if op.OperationID == "" || op.Summary == "" || len(op.Responses) == 0 {
				t.Errorf("%s has no operationId, summary or responses", where)
			}
			if other := ids[op.OperationID]; other != "" {
				t.Errorf("%s and %s are both %q", where, other, op.OperationID)
			}
			ids[op.OperationID] = where
			var inPath []string
			for _, p := range op.Parameters {
				if name, ok := strings.CutPrefix(p.Ref, "#/components/parameters/"); ok {
					_ = json.Unmarshal(d.Components["parameters"][name], &p)
				}
				if p.In == "path" {
					inPath = append(inPath, "{"+p.Name+"}")
				}
			}
			if want := regexp.MustCompile(`\{[^}]*\}`).FindAllString(path, -1); !slices.Equal(inPath, want) {
				t.Errorf("%s: path parameters %v, want %v", where, inPath, want)
			}
		}
	}
	walk(raw, func(ref string) {
		kind, name, ok := strings.Cut(strings.TrimPrefix(ref, "#/components/"), "/")
		if !strings.HasPrefix(ref, "#/components/") || !ok || d.Components[kind][name] == nil {
			t.Errorf("%q leads nowhere", ref)
		}
		used[ref] = true
	})
	for kind, list := range d.Components {
		for name := range list {
			if kind != "securitySchemes" && !used["#/components/"+kind+"/"+name] {
				t.Errorf("nothing uses %s %q", kind, name)
			}
		}
	}
}

func walk(v any, ref func(string)) {
	switch v := v.(type) {
	case map[string]any:
		if s, ok := v["$ref"].(string); ok {
			ref(s)
		}
		for _, x := range v {
			walk(x, ref)
		}
	case []any:
		for _, x := range v {
			walk(x, ref)
		}
	}
}

// notDescribed are patterns that are no part of the API: the page, and what answers 404.
var notDescribed = []string{"/", "/api"}

// TestDescriptionIsComplete finds every pattern in the sources of the server and wants it in the document; and every
// operation of the document must be one that a running server knows.
func TestDescriptionIsComplete(t *testing.T) {
	r := run(t, t.TempDir())
	d, _ := r.document()
	described := map[string]bool{}
	for path, methods := range d.Paths {
		for method := range methods {
			described[strings.ToUpper(method)+" "+path] = true
			described[path] = true
		}
	}
	patterns := registered(t)
	if len(patterns) < 30 {
		t.Fatalf("only %d patterns found in the sources: %v", len(patterns), patterns)
	}
	known := map[string]bool{}
	for _, p := range patterns {
		if p = strings.TrimSuffix(p, "{$}"); p != "/" {
			p = strings.TrimSuffix(p, "/")
		}
		known[p] = true
		if !described[p] && !slices.Contains(notDescribed, p) {
			t.Errorf("%q is registered and not in openapi.json", p)
		}
	}
	for path, methods := range d.Paths {
		for method := range methods {
			method = strings.ToUpper(method)
			if !known[method+" "+path] && !known[path] {
				t.Errorf("%s %s is in openapi.json and nowhere registered", method, path)
			}
			if free := path == "/healthz" || path == "/readyz" || path == "/api/v1/login"; free || !strings.HasPrefix(path, "/api/v1/") {
				continue
			}
			p := regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(path, "x")
			if code, text, _ := r.do(method, p, "", "Authorization", "Bearer wrong"); code != http.StatusUnauthorized {
				t.Errorf("%s %s with a wrong token: %d %.100s", method, path, code, text)
			}
		}
	}
}

// registered finds the patterns of http.ServeMux in the sources below this folder: texts that begin with a method and a path,
// and literal first arguments of Handle and HandleFunc.
func registered(t *testing.T) (patterns []string) {
	withMethod := regexp.MustCompile(`^(GET|POST|PUT|PATCH|DELETE|HEAD) /\S*$`)
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BasicLit:
				if s, err := strconv.Unquote(n.Value); err == nil && withMethod.MatchString(s) {
					patterns = append(patterns, s)
				}
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.SelectorExpr); ok && strings.HasPrefix(f.Sel.Name, "Handle") && len(n.Args) == 2 {
					if lit, ok := n.Args[0].(*ast.BasicLit); ok {
						if s, err := strconv.Unquote(lit.Value); err == nil && strings.HasPrefix(s, "/") {
							patterns = append(patterns, s)
						}
					}
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(patterns)
	return slices.Compact(patterns)
}

// TestDescriptionAccess: any valid credentials may read it, nobody else.
func TestDescriptionAccess(t *testing.T) {
	r := run(t, t.TempDir())
	for role, want := range map[string]int{"push": 200, "reader": 200, "operator": 200, "none": 401} {
		header := []string{"Authorization", "Bearer nothing"}
		if role != "none" {
			header[1] = "Bearer " + r.token(fmt.Sprintf(`{"name":%q,"role":%q}`, role, role))
		}
		if code, _, _ := r.do("GET", "/openapi.json", "", header...); code != want {
			t.Errorf("%s: %d, want %d", role, code, want)
		}
	}
}
