package server

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tallylog/tally/server/backup"
	"github.com/tallylog/tally/server/config"
)

// takeBackup asks for a backup and returns it, checked.
func (r *running) takeBackup() []byte {
	r.t.Helper()
	code, ans, _ := r.do("POST", "/api/v1/storage/backup", "")
	if code != 200 {
		r.t.Fatalf("backup: %d %s", code, ans)
	}
	m, err := backup.Verify(strings.NewReader(ans))
	if err != nil || m.Seq == 0 || !m.WithStore {
		r.t.Fatalf("backup of %d bytes: %+v, %v", len(ans), m.Seq, err)
	}
	return []byte(ans)
}

// TestBackup takes backups while several clients push. What was acknowledged before each began is in it; a server on the restored
// directory takes everything that is sent again, and has each line once, with whole accounts, its users and tokens, and its dead letters.
func TestBackup(t *testing.T) {
	rules := func(o *Options) {
		o.Config.Retention.Rules = []config.RetentionRule{{Name: "one", Namespace: "ns1", Age: config.Duration(1e17)}}
	}
	dir := t.TempDir()
	r := runWith(t, dir, rules)
	var sent [3]atomic.Int64 // lines acknowledged, of each client
	send := func(r *running, client int, from, to int64) error {
		req, err := http.NewRequest("POST", r.url+"/api/v1/push", strings.NewReader(numbered(int(from), int(to))))
		if err != nil {
			return err
		}
		req.SetBasicAuth("admin", password)
		req.Header.Set("Tally-Source", fmt.Sprint("s", client))
		req.Header.Set("Tally-From", fmt.Sprint(from))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 200 {
			return fmt.Errorf("push: %d %w", resp.StatusCode, err)
		}
		return nil
	}
	if code, ans, _ := r.do("POST", "/api/v1/clusters", `{"name":"prod"}`); code/100 != 2 {
		t.Fatalf("%d %s", code, ans)
	}
	r.push(`{"@timestamp":"1999-01-01T00:00:00Z","message":"before","kubernetes":{"namespace":"ns1"}}`) // older than its class allows
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for i := range sent {
		clients.Go(func() {
			for n := int64(0); ctx.Err() == nil && n < 15_000; n += 50 {
				if err := send(r, i, n, n+50); err != nil {
					t.Error(err)
					cancel()
					return
				}
				sent[i].Store(n + 50)
			}
		})
	}
	total := func() (n int64) {
		for i := range sent {
			n += sent[i].Load()
		}
		return n
	}
	var backups [][]byte
	var before []int64
	for i := range int64(2) {
		for total() < 2000*(i+1) && ctx.Err() == nil {
			time.Sleep(5 * time.Millisecond)
		}
		before = append(before, total())
		backups = append(backups, r.takeBackup())
	}
	cancel()
	clients.Wait()
	all := total()
	if left, _ := filepath.Glob(filepath.Join(dir, snapshotPrefix+"*")); len(left) > 0 {
		t.Errorf("%v is left of the backups", left)
	}
	r.count("*", int(all))
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	for i, b := range backups {
		to := filepath.Join(t.TempDir(), "data")
		if _, err := backup.Restore(bytes.NewReader(b), to); err != nil {
			t.Fatal(err)
		}
		r := runWith(t, to, func(o *Options) { rules(o); o.AdminPassword = "" })
		_, ans, _ := r.do("GET", "/api/v1/count", "")
		var n int64
		if _, err := fmt.Sscanf(ans, `{"count":%d}`, &n); err != nil || n < before[i] || n > all {
			t.Errorf("backup %d has %s lines; %d were acknowledged before it, %d in all", i, ans, before[i], all)
		}
		t.Logf("backup %d: %d bytes, %d of %d lines, %d acknowledged before it", i, len(b), n, all, before[i])
		for c := range sent {
			if err := send(r, c, 0, sent[c].Load()); err != nil {
				t.Fatal(err)
			}
		}
		r.count("*", int(all))
		for c := range sent {
			_, ans, _ := r.do("GET", fmt.Sprintf("/api/v1/sources?name=s%d", c), "")
			if want := fmt.Sprintf(`"ranges":[[0,%d]],"gaps":[]`, sent[c].Load()); !strings.Contains(ans, want) || !strings.Contains(ans, `"conflicts":0`) {
				t.Errorf("the account of client %d: %s", c, ans)
			}
		}
		if _, ans, _ := r.do("GET", "/api/v1/clusters", ""); !strings.Contains(ans, `"prod"`) {
			t.Errorf("the clusters: %s", ans)
		}
		if _, ans, _ := r.do("GET", "/api/v1/deadletters", ""); !strings.Contains(ans, `"message":"before"`) {
			t.Errorf("the dead letters: %s", ans)
		}
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
	}
}

// Nobody but an admin of all gets a backup, and no server starts on a restore that did not finish.
func TestBackupIsGuarded(t *testing.T) {
	r := run(t, t.TempDir())
	for _, body := range []string{`{"name":"o","role":"operator"}`, `{"name":"n","role":"admin","namespaces":["a"]}`} {
		_, ans, _ := r.do("POST", "/api/v1/tokens", body)
		token := ans[strings.Index(ans, "tly_"):]
		token = token[:strings.Index(token, `"`)]
		if code, ans, _ := r.do("POST", "/api/v1/storage/backup", "", "Authorization", "Bearer "+token); code != 403 {
			t.Errorf("%s: %d %.100s", body, code, ans)
		}
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, backup.RestoringDir), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), Options{Config: config.Default(), Dir: dir}); err == nil || !strings.Contains(err.Error(), "did not finish") {
		t.Errorf("a server starts on half a restore: %v", err)
	}
}
