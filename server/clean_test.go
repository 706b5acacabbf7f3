package server

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tallylog/tally/server/config"
	"github.com/tallylog/tally/strictyaml"
)

// TestPipelines pushes lines through pipelines into the store, holds that what is dropped has no gap in the account, and changes the
// pipelines while the server runs.
func TestPipelines(t *testing.T) {
	parse := func(text string) config.Config {
		c, err := config.Parse("tally.yml", []byte(text), os.LookupEnv)
		if err != nil {
			t.Fatal(err)
		}
		c.HTTP.Address, c.Lumberjack.Address = "127.0.0.1:0", ""
		return c
	}
	var text atomic.Value
	text.Store("pipelines:\n- use: nginx\n- name: rest\n  processors:\n  - drop_event: {when: {contains: {message: noise}}}\n  - add_fields: {target: '', fields: {stage: one}}\n")
	ctx, cancel := context.WithCancel(context.Background())
	ended, ready, hup := make(chan error, 1), make(chan string, 1), make(chan os.Signal, 1)
	go func() {
		ended <- Run(ctx, Options{Config: parse(text.Load().(string)), Dir: t.TempDir(), AdminPassword: password, Log: slog.New(slog.DiscardHandler), Reload: hup,
			ReadPipelines: func() (strictyaml.Node, error) {
				n, err := strictyaml.Parse("tally.yml", []byte(text.Load().(string)), os.LookupEnv)
				return n.At("pipelines"), err
			},
			Started: func(http, _, _ string) { ready <- http }})
	}()
	r := &running{t: t}
	select {
	case addr := <-ready:
		r.url = "http://" + addr
	case err := <-ended:
		t.Fatal(err)
	}
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	r.push(`{"message":"noise"}
{"message":"10.0.0.1 - - [17/May/2015:10:05:03 +0200] \"GET /a HTTP/1.1\" 404 17"}
{"message":"noise"}
{"message":"other"}
{"message":"noise"}
`, "Tally-Source", "s", "Tally-From", "0")
	r.count("http.response.status_code:=404 source.address:=10.0.0.1", 1)
	r.count("stage:=one", 1)
	r.count("noise", 0)
	if _, sources, _ := r.do("GET", "/api/v1/sources", ""); !strings.Contains(sources, `"ranges":[[0,5]]`) || !strings.Contains(sources, `"gaps":[]`) {
		t.Errorf("the account: %s", sources)
	}
	text.Store("pipelines:\n- name: rest\n  processors:\n  - add_fields: {target: '', fields: {stage: two}}\n")
	hup <- syscall.SIGHUP
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if _, list, _ := r.do("GET", "/api/v1/pipelines", ""); strings.Contains(list, "two") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the pipelines are not reloaded")
		}
	}
	text.Store("pipelines:\n- processors: [{nonsense: }]\n")
	if code, ans, _ := r.do("POST", "/api/v1/pipelines/reload", ""); code != 409 || !strings.Contains(ans, "tally.yml:2: pipelines[0].processors[0].nonsense: unknown processor") {
		t.Errorf("%d %s", code, ans)
	}
	r.push(`{"message":"after"}`)
	r.count("stage:=two", 1)
	if _, m, _ := r.do("GET", "/metrics", ""); !strings.Contains(m, `tally_pipeline_events_total{pipeline="rest"} 5`) {
		t.Error("the metrics lack the pipeline")
	}
}
