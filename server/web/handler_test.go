package web

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// page is one handler for all tests of this file; it has no state.
var page = sync.OnceValue(Handler)

// get asks the handler and returns the answer with its body, decompressed.
func get(t *testing.T, target string, header ...string) (*http.Response, string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	page().ServeHTTP(w, r)
	body := io.Reader(w.Body)
	if w.Header().Get("Content-Encoding") == "gzip" {
		zr, err := gzip.NewReader(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		body = zr
	}
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Result(), string(b)
}

var reference = regexp.MustCompile(`(?:href|src)="([^"]+)"`)

// references returns the addresses that the page loads at once.
func references(t *testing.T) []string {
	t.Helper()
	_, index := get(t, "/")
	var list []string
	for _, m := range reference.FindAllStringSubmatch(index, -1) {
		list = append(list, m[1])
	}
	if len(list) < 20 {
		t.Fatalf("the page refers to %d files only: %s", len(list), index)
	}
	return list
}

func TestHeaders(t *testing.T) {
	for _, target := range append(references(t), "/", "/?q=a&start=-1h&end=", "/nowhere") {
		r, _ := get(t, target)
		for name, want := range map[string]string{
			"Content-Security-Policy":    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
			"X-Content-Type-Options":     "nosniff",
			"Referrer-Policy":            "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", target, name, got, want)
			}
		}
		if want := http.StatusOK; target != "/nowhere" && r.StatusCode != want {
			t.Errorf("%s: status %d, want %d", target, r.StatusCode, want)
		}
	}
}

func TestPathsAndMethods(t *testing.T) {
	asset := references(t)[1]
	f := func(method, target string, want int) {
		t.Helper()
		w := httptest.NewRecorder()
		page().ServeHTTP(w, httptest.NewRequest(method, target, nil))
		if w.Code != want {
			t.Errorf("%s %s: status %d, want %d", method, target, w.Code, want)
		}
		if method == http.MethodHead && w.Body.Len() > 0 {
			t.Errorf("HEAD %s has a body", target)
		}
	}
	f("GET", "/index.html", 200)
	f("GET", "/favicon.ico", 200)
	f("HEAD", "/", 200)
	f("HEAD", asset, 200)
	f("POST", "/", 405)
	f("GET", "/assets/", 404)
	f("GET", "/assets/0000000000000000/js/main.js", 404)
	f("GET", path.Dir(asset)+"/../index.html", 404)
	f("GET", strings.TrimSuffix(asset, "js/theme.js")+"vendor/README.md", 404)
	f("GET", strings.TrimSuffix(asset, "js/theme.js")+"vendor/preact/LICENSE", 200)
	f("GET", "/../doc.go", 404)
}

func TestCaching(t *testing.T) {
	for _, target := range append(references(t), "/") {
		r, plain := get(t, target)
		z, unzipped := get(t, target, "Accept-Encoding", "br, gzip;q=0.8")
		if plain != unzipped {
			t.Errorf("%s: the compressed form differs", target)
		}
		if z.Header.Get("Content-Encoding") == "gzip" && z.Header.Get("ETag") == r.Header.Get("ETag") {
			t.Errorf("%s: one tag for two forms", target)
		}
		if none, _ := get(t, target, "Accept-Encoding", "gzip;q=0"); none.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: compressed for a client that refuses it", target)
		}
		immutable := strings.Contains(r.Header.Get("Cache-Control"), "immutable")
		if want := strings.HasPrefix(target, "/assets/"); immutable != want {
			t.Errorf("%s: immutable is %v, want %v", target, immutable, want)
		}
		again, body := get(t, target, "If-None-Match", `"other", W/`+r.Header.Get("ETag"))
		if again.StatusCode != http.StatusNotModified || body != "" {
			t.Errorf("%s: status %d with %d bytes for a known tag", target, again.StatusCode, len(body))
		}
	}
}

func TestIndexTellsOfCookie(t *testing.T) {
	r, without := get(t, "/")
	_, with := get(t, "/", "Cookie", "any=1")
	if !strings.Contains(without, `name="tally-session" content="none"`) || !strings.Contains(with, `name="tally-session" content="maybe"`) {
		t.Error("the page does not tell whether a cookie came")
	}
	if !strings.Contains(strings.Join(r.Header.Values("Vary"), ","), "Cookie") {
		t.Error("the page does not vary by cookie")
	}
	if strings.Contains(without, "{{") {
		t.Errorf("a place of the template is unfilled: %s", without)
	}
}

func TestFirstLoadIsSmall(t *testing.T) {
	total := 0
	seen := map[string]bool{}
	for _, target := range append(references(t), "/") {
		if seen[target] {
			continue
		}
		seen[target] = true
		r := httptest.NewRequest(http.MethodGet, target, nil)
		r.Header.Set("Accept-Encoding", "gzip")
		w := httptest.NewRecorder()
		page().ServeHTTP(w, r)
		total += w.Body.Len()
	}
	t.Logf("first load: %d files, %d bytes compressed", len(seen), total)
	if total >= 150_000 {
		t.Errorf("the first load has %d bytes", total)
	}
}

// Every module must be preloaded: one that is not would be found only after the module that imports it has arrived.
func TestEveryImportIsPreloaded(t *testing.T) {
	preloaded := map[string]bool{}
	for _, target := range references(t) {
		preloaded[target] = true
	}
	imports := regexp.MustCompile(`(?:from|import)\s*["']([^"'\s]+)["']`)
	for target := range preloaded {
		if !strings.HasSuffix(target, ".js") {
			continue
		}
		_, body := get(t, target)
		for _, m := range imports.FindAllStringSubmatch(body, -1) {
			if !strings.HasPrefix(m[1], ".") {
				t.Errorf("%s imports %q, which a browser cannot find", target, m[1])
			} else if to := path.Join(path.Dir(target), m[1]); !preloaded[to] {
				t.Errorf("%s imports %s, which is not preloaded", target, to)
			}
		}
	}
}

var (
	address  = regexp.MustCompile(`(?i)\b(?:https?|wss?)://[^\s"'<>)\\]+`)
	harmless = regexp.MustCompile(`^http://www\.w3\.org/`)
	bang     = regexp.MustCompile(`(?s)/\*!.*?\*/`)
)

func TestNothingFromElsewhere(t *testing.T) {
	a, err := loadAssets()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range a.names() {
		if path.Base(name) == "LICENSE" {
			continue
		}
		b := bang.ReplaceAll(a.files[name].plain, nil)
		for _, found := range address.FindAll(b, -1) {
			if !harmless.Match(found) {
				t.Errorf("%s names %s", name, found)
			}
		}
		for _, forbidden := range []string{"sourceMappingURL", "innerHTML=", "innerHTML =", "eval(", "new Function", "@import", "document.write"} {
			// Preact and uPlot set innerHTML only where a caller asks for it; the page never does.
			if bytes.Contains(b, []byte(forbidden)) && !(strings.HasPrefix(name, "vendor/") && strings.HasPrefix(forbidden, "innerHTML")) {
				t.Errorf("%s has %q", name, forbidden)
			}
		}
		if !strings.HasPrefix(name, "vendor/") && bytes.Contains(b, []byte("dangerouslySetInnerHTML")) {
			t.Errorf("%s makes markup from text", name)
		}
	}
	if inline := regexp.MustCompile(`(?i)<script>|<style|\son\w+=|\sstyle=`).Find(a.files["index.html"].plain); inline != nil {
		t.Errorf("index.html has %q, which its policy forbids", inline)
	}
}

func TestVendoredFilesAreNamed(t *testing.T) {
	b, err := fs.ReadFile(embedded, "vendor/vendor.json")
	if err != nil {
		t.Fatal(err)
	}
	var packages []struct {
		Folder, Package, Version, License string
		Files                             map[string]string
	}
	if err := json.Unmarshal(b, &packages); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"vendor/vendor.json": true, "vendor/README.md": true}
	for _, p := range packages {
		if p.Package == "" || p.Version == "" || p.License == "" || len(p.Files) == 0 {
			t.Errorf("vendor.json tells too little of %q", p.Folder)
		}
		license, err := fs.ReadFile(embedded, "vendor/"+p.Folder+"/LICENSE")
		if err != nil || len(license) < 500 {
			t.Errorf("the licence of %q is missing: %v", p.Package, err)
		}
		known["vendor/"+p.Folder+"/LICENSE"] = true
		for name := range p.Files {
			known["vendor/"+p.Folder+"/"+name] = true
		}
	}
	err = fs.WalkDir(embedded, "vendor", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !known[name] {
			t.Errorf("vendor.json does not name %s", name)
		}
		delete(known, name)
		return err
	})
	if err != nil || len(known) > 0 {
		t.Errorf("files that vendor.json names are missing: %v (%v)", known, err)
	}
}
