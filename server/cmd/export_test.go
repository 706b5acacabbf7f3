package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tallylog/tally/server"
	"github.com/tallylog/tally/server/config"
)

// running starts a server with n events behind a proxy that cuts an export after some bytes while cuts is above 0, and sets
// the environment for clients.
func running(t *testing.T, n int) (cuts *atomic.Int64) {
	t.Helper()
	c := config.Default()
	c.HTTP.Address, c.Lumberjack.Address = "127.0.0.1:0", ""
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- server.Run(ctx, server.Options{Config: c, Dir: t.TempDir(), AdminPassword: "a long enough password", Log: slog.New(slog.DiscardHandler),
			Started: func(http, _, _ string) { ready <- http }})
	}()
	var address string
	select {
	case address = <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	cuts = new(atomic.Int64)
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: address})
	proxy.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/export") && cuts.Add(-1) >= 0 {
			w = &cutting{ResponseWriter: w, left: 2000}
		}
		proxy.ServeHTTP(w, r)
	}))
	front.Config.ErrorLog = proxy.ErrorLog
	t.Cleanup(front.Close)
	t.Setenv("TALLY_URL", front.URL)
	t.Setenv("TALLY_TOKEN", "")
	t.Setenv("TALLY_USER", "admin")
	t.Setenv("TALLY_PASSWORD", "a long enough password")
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "{\"@timestamp\":\"2026-01-02T15:%02d:%02dZ\",\"message\":\"line %d\",\"n\":%d}\n", i/60%60, i%60, i, i)
	}
	if code, _, errOut := tally(b.String(), "push"); code != 0 {
		t.Fatal(errOut)
	}
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if _, out, _ := tally("", "query", "--count", "--start", "2026-01-01T00:00:00Z"); out == fmt.Sprintln(n) {
			return cuts
		}
	}
	t.Fatal("the events do not show up")
	return nil
}

// cutting breaks the connection off after some bytes.
type cutting struct {
	http.ResponseWriter
	left int
}

func (c *cutting) Write(p []byte) (int, error) {
	if c.left < len(p) {
		_, _ = c.ResponseWriter.Write(p[:c.left])
		_ = http.NewResponseController(c.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= len(p)
	return c.ResponseWriter.Write(p)
}

func tally(in string, args ...string) (code int, out, errOut string) {
	var o, e bytes.Buffer
	code = Main(args, strings.NewReader(in), &o, &e)
	return code, o.String(), e.String()
}

const all = "--start=2026-01-01T00:00:00Z"

func TestExport(t *testing.T) {
	cuts := running(t, 1000)
	code, whole, errOut := tally("", "export", all)
	if code != 0 || strings.Count(whole, "\n") != 1000 || !strings.Contains(whole[:200], `"line 0"`) || errOut != "" {
		t.Fatalf("%d, %d lines, %s", code, strings.Count(whole, "\n"), errOut)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "x.ndjson")
	if code, _, errOut := tally("", "export", all, "--file", file); code != 0 {
		t.Fatalf("%d %s", code, errOut)
	}
	same(t, file, whole)
	if code, _, errOut := tally("", "export", all, "--file", file); code != exitUsage || !strings.Contains(errOut, "is there already") {
		t.Errorf("over a file: %d %s", code, errOut)
	}
	if code, out, _ := tally("", "export", all, "--format", "csv", "--fields", "n,message", "--order", "desc", "n:<2"); code != 0 || out != "n,message\n1,line 1\n0,line 0\n" {
		t.Errorf("CSV: %d %q", code, out)
	}
	for _, args := range [][]string{{"export", "--format", "csv"}, {"export", "--resume"}, {"export", "--resume", "--file", filepath.Join(dir, "none")}, {"export", all, "a |"}, {"export", "--format", "xml", all}} {
		if code, _, errOut := tally("", args...); code != exitUsage {
			t.Errorf("%v: %d %s", args, code, errOut)
		}
	}
	cuts.Store(1)
	if code, _, errOut := tally("", "export", all); code != exitPartial || !strings.Contains(errOut, "partial") {
		t.Errorf("a connection cut: %d %s", code, errOut)
	}
}

func same(t *testing.T, file, want string) {
	t.Helper()
	got, err := os.ReadFile(file)
	if err != nil || string(got) != want {
		t.Errorf("%s has %d bytes, want %d: %v", file, len(got), len(want), err)
	}
	left, err := filepath.Glob(file + ".*")
	if err != nil || len(left) > 0 {
		t.Errorf("it left %v behind", left)
	}
}

// TestExportIsTakenUp: over cut connections, and over an end of the program, the file is that of an export in one go.
func TestExportIsTakenUp(t *testing.T) {
	cuts := running(t, 1000)
	_, whole, _ := tally("", "export", all, "--format", "csv", "--fields", "n,message,_id")
	x := func() *exporter {
		cl, err := newClient()
		if err != nil {
			t.Fatal(err)
		}
		return &exporter{cl: cl, progress: io.Discard, page: 150, pause: time.Millisecond}
	}
	q := url.Values{"query": {"*"}, "order": {"asc"}, "format": {"csv"}, "fields": {"n,message,_id"}, "start": {"2026-01-01T00:00:00Z"}}
	file := filepath.Join(t.TempDir(), "x.csv")
	cuts.Store(3)
	if err := x().toFile(t.Context(), file, q); err != nil {
		t.Fatal(err)
	}
	same(t, file, whole)

	file += "2"
	ctx, cancel := context.WithCancel(t.Context())
	stopping := x()
	stopping.progress = writer(func(p []byte) { // the second page is under way
		if strings.Contains(string(p), "\r151 ") {
			cancel()
		}
	})
	var e *exitError
	if err := stopping.toFile(ctx, file, q); !errors.As(err, &e) || e.code != exitPartial || !strings.Contains(err.Error(), "--resume") {
		t.Fatalf("an export that is ended: %v", err)
	}
	f, err := os.OpenFile(partOf(file), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("half a li"); err != nil || f.Close() != nil {
		t.Fatal(err)
	}
	if code, _, errOut := tally("", "export", "--resume", "--file", file); code != 0 {
		t.Fatalf("%d %s", code, errOut)
	}
	same(t, file, whole)
}

type writer func(p []byte)

func (w writer) Write(p []byte) (int, error) { w(p); return len(p), nil }
