package cmd

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestExplain(t *testing.T) {
	const answer = `{"state":"skipped","sentence":"It was left out."}`
	asked := ""
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.RequestURI()
		_, _ = w.Write([]byte(answer))
	}))
	defer srv.Close()
	t.Setenv("TALLY_URL", srv.URL)
	t.Setenv("TALLY_TOKEN", "t")
	f := func(args, request, printed string, code int) {
		t.Helper()
		var out, errs bytes.Buffer
		asked = ""
		if got := Main(append([]string{"explain"}, strings.Fields(args)...), nil, &out, &errs); got != code {
			t.Errorf("explain %s: exit %d, want %d: %s", args, got, code, &errs)
		}
		if asked != request || strings.TrimSpace(out.String()) != printed {
			t.Errorf("explain %s: asked %q and printed %q, want %q and %q", args, asked, &out, request, printed)
		}
	}
	f("/a.log --position 7", "/api/v1/explain?name=%2Fa.log&position=7", answer, 0)
	f("/a.log --position 7 -o text", "/api/v1/explain?name=%2Fa.log&position=7", "It was left out.", 0)
	f("--source file:x --time -1h -o text", "/api/v1/explain?source=file%3Ax&time=-1h", "It was left out.", 0)
	f("--id x", "/api/v1/explain?id=x", answer, 0)
	f("a b", "", "", exitUsage)
	f("a -o x", "", "", exitUsage)
}
