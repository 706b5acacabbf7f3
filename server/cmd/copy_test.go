package cmd

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/server"
	"github.com/tallylog/tally/server/config"
)

const copyPassword = "a long enough password"

// withServer runs a server on dir while f does.
func withServer(t *testing.T, dir string, cfg config.Config, f func(url string)) {
	t.Helper()
	cfg.HTTP.Address, cfg.Lumberjack.Address = "127.0.0.1:0", ""
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- server.Run(ctx, server.Options{Config: cfg, Dir: dir, AdminPassword: copyPassword, Log: slog.New(slog.DiscardHandler),
			Started: func(http, _, _ string) { ready <- "http://" + http }})
	}()
	select {
	case url := <-ready:
		f(url)
	case err := <-ended:
		cancel()
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func ask(t *testing.T, method, url, body string, header ...string) string {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("admin", copyPassword)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%s %s: %d %s %v", method, url, resp.StatusCode, b, err)
	}
	return strings.TrimSpace(string(b))
}

// TestCopy copies a server's data under new rules: a server on the copy knows every line, its own new ones too, over a restart.
func TestCopy(t *testing.T) {
	data, to := t.TempDir(), filepath.Join(t.TempDir(), "new")
	var lines strings.Builder
	for n := range 3000 {
		fmt.Fprintf(&lines, `{"@timestamp":%q,"message":"line %d","kubernetes":{"namespace":"ns%d"}}`+"\n", time.Now().UTC().AddDate(0, 0, -n%3).Format(time.RFC3339), n, n%2)
	}
	send := func(url, source, want string) {
		t.Helper()
		if got := ask(t, "POST", url+"/api/v1/push", lines.String(), "Tally-Source", source, "Tally-From", "0"); !strings.HasPrefix(got, want) {
			t.Errorf("push of %s: %s, want %s", source, got, want)
		}
	}
	run := func(code int, want string, args ...string) {
		t.Helper()
		var out bytes.Buffer
		if got := Main(args, strings.NewReader(""), &out, &out); got != code || !strings.Contains(out.String(), want) {
			t.Errorf("%v: exit code %d, want %d with %q:\n%s", args, got, code, want, out.String())
		}
	}
	withServer(t, data, config.Default(), func(url string) {
		send(url, "s", `{"accepted":3000,"duplicates":0`)
		run(1, "a server is running", "storage", "copy", "--data", data, "--to", to)
	})
	file := filepath.Join(t.TempDir(), "tally.yml")
	if err := os.WriteFile(file, []byte("retention:\n  rules:\n  - {name: odd, namespace: ns1, age: 90d}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	run(2, "--to names", "storage", "copy", "--data", data)
	run(2, "is not empty", "storage", "copy", "--data", data, "--to", filepath.Dir(file))
	run(0, "is whole", "storage", "copy", "--data", data, "--to", to, "-c", file)
	run(0, "is whole", "storage", "copy", "--data", data, "--to", to, "-c", file) // again: it only compares
	defer run(1, "a server has run on", "storage", "copy", "--data", data, "--to", to, "-c", file)
	for round := range 2 {
		withServer(t, to, cfg, func(url string) {
			send(url, "s", `{"accepted":0,"duplicates":3000`)
			if round == 0 { // its records must not be taken for batches of the copy
				send(url, "t", `{"accepted":3000,"duplicates":0`)
			}
			for end := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
				got := ask(t, "GET", url+"/api/v1/count", "")
				if got == `{"count":6000}` {
					break
				}
				if time.Now().After(end) {
					t.Fatal(got)
				}
			}
			if got := ask(t, "GET", url+"/api/v1/storage", ""); !strings.Contains(got, `"name":"odd","age_days":90,"max_bytes":0,"rows":3000`) {
				t.Errorf("storage: %s", got)
			}
			if got := ask(t, "GET", url+"/api/v1/sources?name=s", ""); !strings.Contains(got, `"ranges":[[0,3000]],"gaps":[]`) || !strings.Contains(got, `"conflicts":0`) {
				t.Errorf("sources: %s", got)
			}
		})
	}
}
