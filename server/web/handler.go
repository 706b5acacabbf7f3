package web

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/tallylog/tally/server/answer"
)

// contentSecurityPolicy allows what the page's own origin serves and nothing else; styles set by script on elements (CSSOM)
// are not inline styles in the sense of the policy.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// Handler serves "/" (and "/index.html"), "/favicon.svg", "/favicon.ico" and "/assets/<hash>/…" to GET and HEAD, without
// authentication. Any other path is 404. It panics if the embedded files cannot be read, which only a wrong build can cause.
func Handler() http.Handler {
	a, err := loadAssets()
	if err != nil {
		panic("web: " + err.Error())
	}
	anonymous, err := a.index(false)
	if err != nil {
		panic("web: " + err.Error())
	}
	returning, err := a.index(true)
	if err != nil {
		panic("web: " + err.Error())
	}
	prefix := "/assets/" + a.hash + "/"

	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", contentSecurityPolicy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			header.Set("Allow", "GET, HEAD")
			answer.Fail(w, answer.Errorf(http.StatusMethodNotAllowed, "method_not_allowed", "the page answers GET only"))
			return
		}
		switch {
		case r.URL.Path == "/" || r.URL.Path == "/index.html":
			header.Set("Cache-Control", "no-cache")
			header.Add("Vary", "Cookie")
			if len(r.Cookies()) > 0 {
				send(w, r, returning)
			} else {
				send(w, r, anonymous)
			}
			return
		case r.URL.Path == "/favicon.svg" || r.URL.Path == "/favicon.ico":
			header.Set("Cache-Control", "public, max-age=86400")
			send(w, r, a.files["favicon.svg"])
			return
		}
		name, ok := strings.CutPrefix(r.URL.Path, prefix)
		f := a.files[name]
		if !ok || f == nil || name == "index.html" {
			header.Set("Cache-Control", "no-store")
			answer.Fail(w, answer.Errorf(http.StatusNotFound, "not_found", "there is nothing at this address"))
			return
		}
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
		send(w, r, f)
	})
}

// send writes f, compressed if the client takes gzip, or 304 if the client has it. The tag of the compressed form differs, as
// RFC 9110 asks of representations whose bytes differ.
func send(w http.ResponseWriter, r *http.Request, f *file) {
	header := w.Header()
	body, etag := f.plain, f.etag
	if f.gzip != nil {
		header.Add("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header.Get("Accept-Encoding")) {
			body, etag = f.gzip, strings.TrimSuffix(f.etag, `"`)+`-gzip"`
			header.Set("Content-Encoding", "gzip")
		}
	}
	header.Set("Content-Type", f.contentType)
	header.Set("ETag", etag)
	if matches(r.Header.Get("If-None-Match"), etag) {
		header.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodHead {
		return
	}
	// A client that went away is no failure of the server.
	_, _ = w.Write(body)
}

// acceptsGzip reads Accept-Encoding as far as browsers use it: a list of codings, each with an optional weight.
func acceptsGzip(accept string) bool {
	for _, part := range strings.Split(accept, ",") {
		coding, weight, _ := strings.Cut(part, ";")
		if strings.TrimSpace(coding) == "gzip" {
			q, _ := strings.CutPrefix(strings.ReplaceAll(weight, " ", ""), "q=")
			v, err := strconv.ParseFloat(q, 64)
			return err != nil || v > 0
		}
	}
	return false
}

// matches tells whether the list of tags in If-None-Match has etag. A proxy may have marked it as weak.
func matches(list, etag string) bool {
	for _, tag := range strings.Split(list, ",") {
		if tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/"); tag == etag || tag == "*" {
			return true
		}
	}
	return false
}
