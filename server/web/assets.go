package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"sort"
	"strings"
)

//go:embed assets vendor
var embedded embed.FS

// file is one asset, ready to be sent.
type file struct {
	contentType string
	plain, gzip []byte
	etag        string
}

// assets are the files by their path below /assets/<hash>/, and the hash of them all. One hash for the tree lets modules
// import each other by relative paths, and still be cached for good.
type assets struct {
	files map[string]*file
	hash  string
}

// contentTypes are the kinds of files that are served. Others, such as vendor/README.md, are documentation for the reader of
// the repository and stay unserved.
var contentTypes = map[string]string{
	".css":  "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// loadAssets reads and compresses the embedded files. It fails only if the binary was built wrongly.
func loadAssets() (*assets, error) {
	a := &assets{files: map[string]*file{}}
	err := fs.WalkDir(embedded, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		ct := contentTypes[path.Ext(name)]
		if path.Base(name) == "LICENSE" {
			ct = "text/plain; charset=utf-8"
		}
		if ct == "" {
			return nil
		}
		b, err := embedded.ReadFile(name)
		if err != nil {
			return err
		}
		f, err := newFile(ct, b)
		if err != nil {
			return fmt.Errorf("cannot compress asset %q: %w", name, err)
		}
		a.files[strings.TrimPrefix(name, "assets/")] = f
		return nil
	})
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	for _, name := range a.names() {
		fmt.Fprintf(h, "%s %s\n", name, a.files[name].etag)
	}
	a.hash = hex.EncodeToString(h.Sum(nil))[:16]
	return a, nil
}

// names returns the paths of all files, sorted.
func (a *assets) names() []string {
	names := make([]string, 0, len(a.files))
	for name := range a.files {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// index fills the template of the page: the address of the assets, a preload for every module, so that the browser does not
// find them one import after the other, and whether the request carried a cookie. Without one there is no session to ask for.
func (a *assets) index(cookie bool) (*file, error) {
	var preload strings.Builder
	for _, name := range a.names() {
		if strings.HasSuffix(name, ".js") && name != "js/theme.js" {
			fmt.Fprintf(&preload, "<link rel=\"modulepreload\" href=\"/assets/%s/%s\">\n", a.hash, name)
		}
	}
	session := "none"
	if cookie {
		session = "maybe"
	}
	page := strings.NewReplacer("{{assets}}", "/assets/"+a.hash, "{{preload}}\n", preload.String(), "{{session}}", session).
		Replace(string(a.files["index.html"].plain))
	return newFile(contentTypes[".html"], []byte(page))
}

func newFile(contentType string, plain []byte) (*file, error) {
	sum := sha256.Sum256(plain)
	f := &file{contentType: contentType, plain: plain, etag: `"` + hex.EncodeToString(sum[:16]) + `"`}
	var buf bytes.Buffer
	zw, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := zw.Write(plain); err != nil {
		return nil, err
	}
	if err := zw.Close(); err != nil {
		return nil, err
	}
	if buf.Len() < len(plain) {
		f.gzip = buf.Bytes()
	}
	return f, nil
}
