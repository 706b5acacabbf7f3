package e2e

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/test/rig"
)

// TestPodRemovedWhileNoAgentRan: what a pod wrote while the agent was stopped, and took with it, nobody can read any more. The account says
// from where on it is missing and why, and so does one sentence.
func TestPodRemovedWhileNoAgentRan(t *testing.T) {
	t.Parallel()
	s := rig.NewServer(t, t.TempDir(), "").Start()
	pods := t.TempDir()
	pod := filepath.Join(pods, "0e9a7b5c-5f0f-4a43-9a8f-4f9d3a1b2c3d")
	volume := filepath.Join(pod, "volumes", "kubernetes.io~empty-dir", "applog-shop-endname-main")
	if err := os.MkdirAll(volume, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(volume, "app.log")
	write(t, file, numbered(0, 100))
	n := size(t, file)
	a := rig.NewAgent(t, s.Lumberjack, fmt.Sprintf("- {type: applog, paths: [\"%s/*/volumes/kubernetes.io~empty-dir/applog-*/*.log\"]}\n", pods)).Start()
	s.WaitCount("line", 100, time.Minute)
	if code := a.Stop(); code != 0 {
		t.Fatalf("the agent ended with %d", code)
	}
	write(t, file, numbered(100, 200))
	if err := os.RemoveAll(pod); err != nil {
		t.Fatal(err)
	}
	a.Start()
	rig.Eventually(t, 2*time.Minute, "the gap of the removed file", func() bool {
		src := s.Sources(file)
		if len(src) != 1 || len(src[0].Gaps) != 1 {
			return false
		}
		g := src[0].Gaps[0]
		return g.Reason == "removed" && g.From == n && g.To == nil
	})
	var said struct{ State, Sentence string }
	if err := s.Get("/api/v1/explain", url.Values{"name": {file}, "position": {fmt.Sprint(n + 5)}}, &said); err != nil {
		t.Fatal(err)
	}
	if said.State != "lost" || !strings.Contains(said.Sentence, "removed") {
		t.Errorf("explained as %+v", said)
	}
	t.Log(said.Sentence)
}
