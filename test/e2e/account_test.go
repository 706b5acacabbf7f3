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

// TestWhatNoLineTells follows control records from the agent to the account: blank lines at the end of a file, the end of a file
// that was removed, and what followed the offset in a file that was truncated while the agent was stopped.
func TestWhatNoLineTells(t *testing.T) {
	t.Parallel()
	s := rig.NewServer(t, t.TempDir(), "").Start()
	logs := t.TempDir()
	kept, removed, cut := filepath.Join(logs, "kept.log"), filepath.Join(logs, "removed.log"), filepath.Join(logs, "cut.log")
	for _, file := range []string{kept, removed, cut} {
		write(t, file, "one line of "+file+"\n\n\n")
	}
	n := size(t, kept)
	a := rig.NewAgent(t, s.Lumberjack, fmt.Sprintf("- type: applog\n  paths: [\"%s/*.log\"]\n", logs)).Start()
	s.WaitCount("line", 3, time.Minute)
	if err := os.Remove(removed); err != nil {
		t.Fatal(err)
	}
	whole := func(file string, n int64, complete bool) func() bool {
		return func() bool {
			src := s.Sources(file)
			return len(src) == 1 && fmt.Sprint(src[0].Ranges) == fmt.Sprintf("[[0 %d]]", n) && len(src[0].Gaps) == 0 && src[0].Complete == complete
		}
	}
	rig.Eventually(t, time.Minute, "the account of a file that ends with blank lines", whole(kept, n, false))
	rig.Eventually(t, time.Minute, "the end of the removed file", whole(removed, n+3, true))
	rig.Eventually(t, time.Minute, "the account of the file to be cut", whole(cut, n-1, false))
	if code := a.Stop(); code != 0 {
		t.Fatalf("the agent ended with %d", code)
	}
	write(t, cut, "nobody reads this line\n")
	if err := os.Truncate(cut, 0); err != nil {
		t.Fatal(err)
	}
	write(t, cut, "x\n")
	a.Start()
	rig.Eventually(t, 3*time.Minute, "the gap of the truncated file", func() bool {
		src := s.Sources(cut)
		for i := range src {
			if g := src[i].Gaps; len(src) == 2 && len(g) == 1 && g[0].Reason == "truncated" && g[0].To == nil && g[0].From == n-1 {
				return true
			}
		}
		return false
	})
	var said struct{ State, Sentence string }
	if err := s.Get("/api/v1/explain", url.Values{"name": {cut}, "position": {fmt.Sprint(n + 5)}}, &said); err != nil {
		t.Fatal(err)
	}
	if said.State != "lost" || !strings.Contains(said.Sentence, "truncated before it was read") {
		t.Errorf("explained as %+v", said)
	}
}
