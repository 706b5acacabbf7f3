package server

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// example is one request of docs/api.md with its answer.
type example struct {
	line            int
	request, answer string
}

func examples(t *testing.T) (list []example) {
	t.Helper()
	text, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?ms)^```http\n(.*?)\n=> (.*?)\n```$")
	for _, at := range block.FindAllSubmatchIndex(text, -1) {
		list = append(list, example{
			line:    1 + strings.Count(string(text[:at[0]]), "\n"),
			request: string(text[at[2]:at[3]]), answer: string(text[at[4]:at[5]]),
		})
	}
	if n := strings.Count(string(text), "```http"); n != len(list) || n == 0 {
		t.Fatalf("%d requests in docs/api.md, %d of them with an answer", n, len(list))
	}
	return list
}

var placeholder = regexp.MustCompile(`<[a-z_0-9]+>`)

// fill puts the texts in for the names that are known.
func fill(s string, names map[string]string) string {
	return placeholder.ReplaceAllStringFunc(s, func(name string) string {
		if v, ok := names[name]; ok {
			return v
		}
		return name
	})
}

// send sends the request of an example. The caller closes the body.
func (r *running) send(ctx context.Context, e example, names map[string]string) *http.Response {
	r.t.Helper()
	head, body, _ := strings.Cut(e.request, "\n\n")
	lines := strings.Split(fill(head, names), "\n")
	method, path, _ := strings.Cut(lines[0], " ")
	path = strings.NewReplacer(`"`, "%22", "|", "%7C").Replace(path)
	req, err := http.NewRequestWithContext(ctx, method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatalf("docs/api.md:%d: %v", e.line, err)
	}
	req.SetBasicAuth("admin", password)
	for _, l := range lines[1:] {
		name, value, _ := strings.Cut(l, ": ")
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatalf("docs/api.md:%d: %v", e.line, err)
	}
	return resp
}

// check compares an answer with the documented one and learns new names from it.
func (e example) check(resp *http.Response, body string, names map[string]string) error {
	want := e.answer
	status, want, _ := strings.Cut(want, "\n")
	if status != strconv.Itoa(resp.StatusCode) {
		return fmt.Errorf("status %d: %s", resp.StatusCode, body)
	}
	got := ""
	if head, rest, ok := strings.Cut(want, "\n\n"); ok && !strings.HasPrefix(want, "{") {
		for _, l := range strings.Split(head, "\n") {
			name, _, _ := strings.Cut(l, ":")
			got += strings.TrimRight(name+": "+resp.Header.Get(name)+resp.Trailer.Get(name), " ") + "\n"
		}
		got += "\n"
		want = head + "\n\n" + rest
	}
	got += strings.TrimSuffix(body, "\n")
	var fresh []string
	pattern := regexp.QuoteMeta(fill(want, names))
	pattern = strings.ReplaceAll(pattern, "…", `(?s:.*)`)
	pattern = placeholder.ReplaceAllStringFunc(pattern, func(name string) string {
		fresh = append(fresh, name)
		return `([^"\s]+)`
	})
	m := regexp.MustCompile(`\A` + pattern + `\z`).FindStringSubmatch(got)
	if m == nil {
		return fmt.Errorf("\n got %s\nwant %s", got, fill(want, names))
	}
	for i, name := range fresh {
		names[name] = m[i+1]
	}
	return nil
}

// TestDocumentation sends the requests of docs/api.md in their order. Events can be found within a second or two, so a
// reading request is sent again until its answer is right.
func TestDocumentation(t *testing.T) {
	r := run(t, t.TempDir())
	names := map[string]string{}
	shown := map[string]bool{}
	var finish func() // of a live tail: its answer comes while the next request is sent
	for _, e := range examples(t) {
		method, rest, _ := strings.Cut(e.request, " ")
		path, _, _ := strings.Cut(strings.SplitN(rest, "\n", 2)[0], "?")
		shown[method+" "+path] = true
		if path == "/api/v1/tail" {
			finish = r.tailExample(e, names)
			continue
		}
		deadline := time.Now().Add(patience)
		for {
			resp := r.send(t.Context(), e, names)
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err == nil {
				err = e.check(resp, string(body), names)
			}
			if err == nil {
				break
			}
			if method != "GET" || time.Now().After(deadline) {
				t.Errorf("docs/api.md:%d: %s: %v", e.line, e.request, err)
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		if finish != nil {
			finish()
			finish = nil
		}
	}
	d, _ := r.document()
	example := regexp.MustCompile(`\{[^}]*\}`)
	for path, methods := range d.Paths {
		for method := range methods {
			p := strings.ToUpper(method) + " " + path
			found := false
			for s := range shown {
				found = found || regexp.MustCompile(`^`+example.ReplaceAllString(p, `[^/]+`)+`$`).MatchString(s)
			}
			foreign := !strings.HasPrefix(path, "/api/v1/") && strings.ToUpper(method) == "POST" // described beside their code
			if !found && !foreign && path != "/api/v1/openapi.json" {
				t.Errorf("docs/api.md does not show %s", p)
			}
		}
	}
}

// tailExample opens a live tail; what it returns reads and checks the answer.
func (r *running) tailExample(e example, names map[string]string) (finish func()) {
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	resp := r.send(ctx, e, names)
	body := make([]byte, len(": tail\n\n"))
	if _, err := io.ReadFull(resp.Body, body); err != nil {
		r.t.Fatal(err)
	}
	return func() {
		defer cancel()
		defer resp.Body.Close()
		got := string(body)
		for b := make([]byte, 1); strings.Count(got, "\n\n") < 2; {
			if _, err := io.ReadFull(resp.Body, b); err != nil {
				r.t.Fatalf("docs/api.md:%d: %v after %s", e.line, err, got)
			}
			got += string(b)
		}
		if err := e.check(resp, strings.TrimSuffix(got, "\n"), names); err != nil {
			r.t.Errorf("docs/api.md:%d: %v", e.line, err)
		}
	}
}
