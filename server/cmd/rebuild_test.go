package cmd

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/server"
	"github.com/tallylog/tally/server/config"
)

// TestRebuild damages both checkpoints of a server's directory: it does not start and says what to do; fsck tells, and with --repair the
// account is back, from the store, with classes of retention among it.
func TestRebuild(t *testing.T) {
	dir := t.TempDir()
	cfg := config.Default()
	cfg.Retention.Rules = []config.RetentionRule{{Name: "odd", Namespace: "ns1", Age: config.Duration(90 * 24 * time.Hour)}}
	var lines strings.Builder
	for n := range 1000 {
		fmt.Fprintf(&lines, `{"message":"line %d","host":{"name":"h"},"kubernetes":{"namespace":"ns%d"}}`+"\n", n, n%2)
	}
	send := func(url, want string) {
		t.Helper()
		if got := ask(t, "POST", url+"/api/v1/push", lines.String(), "Tally-Source", "s", "Tally-From", "0"); !strings.HasPrefix(got, want) {
			t.Errorf("push: %s, want %s", got, want)
		}
	}
	withServer(t, dir, cfg, func(url string) { send(url, `{"accepted":1000,"duplicates":0`) })
	for _, name := range []string{"checkpoint", "checkpoint.1"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("damaged"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg.HTTP.Address, cfg.Lumberjack.Address = "127.0.0.1:0", ""
	if err := server.Run(t.Context(), server.Options{Config: cfg, Dir: dir, Log: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), "fsck --repair") {
		t.Errorf("without a checkpoint the server says %v", err)
	}
	f := func(code int, want ...string) {
		t.Helper()
		args := []string{"fsck", "--data", dir}
		if code == 0 {
			args = append(args, "--repair")
		}
		var out bytes.Buffer
		got := Main(args, strings.NewReader(""), &out, &out)
		for _, w := range want {
			if got != code || !strings.Contains(out.String(), w) {
				t.Errorf("%v: exit code %d, want %d with %q:\n%s", args, got, code, w, out.String())
			}
		}
	}
	f(1, "corrupt: checkpoint", "--repair rebuilds")
	f(0, "set aside as checkpoint.corrupt", "set aside as checkpoint.1.corrupt", "the account is rebuilt")
	f(0, "clean")
	for range 2 {
		withServer(t, dir, cfg, func(url string) {
			send(url, `{"accepted":0,"duplicates":1000`)
			got := ask(t, "GET", url+"/api/v1/sources?name=s", "")
			if !strings.Contains(got, `"ranges":[[0,1000]],"gaps":[]`) || !strings.Contains(got, `"events":1000`) || !strings.Contains(got, `"host":"h"`) {
				t.Errorf("sources: %s", got)
			}
			if got := ask(t, "GET", url+"/api/v1/count", ""); got != `{"count":1000}` {
				t.Error(got)
			}
		})
	}
}
