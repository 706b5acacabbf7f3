package e2e

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/test/rig"
)

// TestTooLong: of a line over max_bytes the beginning is stored, with a mark, and the account has the rest as a lost range with its reason.
func TestTooLong(t *testing.T) {
	t.Parallel()
	s := rig.NewServer(t, t.TempDir(), "").Start()
	file := filepath.Join(t.TempDir(), "app.log")
	before, long, after := numbered(0, 10), strings.Repeat("long ", 300_000)+"\n", numbered(10, 20)
	write(t, file, before+long+after)
	a := rig.NewAgent(t, s.Lumberjack, fmt.Sprintf("- {type: applog, paths: [%q], max_bytes: 1000}\n", file)).Start()
	s.WaitCount("line", 20, time.Minute)
	s.WaitCount("log.flags:truncated", 1, time.Minute)
	cut, end := int64(len(before)+1000), int64(len(before)+len(long))
	n := end + int64(len(after))
	rig.Eventually(t, time.Minute, "the rest of the long line as a lost range, and nothing else missing", func() bool {
		src := s.Sources(file)
		if len(src) != 1 || len(src[0].Gaps) != 1 {
			return false
		}
		g := src[0].Gaps[0]
		return g.Reason == "too_long" && g.From == cut && g.To != nil && *g.To == end &&
			fmt.Sprint(src[0].Ranges) == fmt.Sprintf("[[0 %d] [%d %d]]", cut, end, n)
	})
	for position, want := range map[int64]string{cut - 1: "stored", cut: "lost", end - 1: "lost", end: "stored"} {
		var said struct{ State, Sentence string }
		if err := s.Get("/api/v1/explain", url.Values{"name": {file}, "position": {fmt.Sprint(position)}}, &said); err != nil {
			t.Fatal(err)
		}
		if said.State != want || want == "lost" && !strings.Contains(said.Sentence, "longer than is allowed") {
			t.Errorf("position %d is explained as %+v, want %s", position, said, want)
		}
	}
	if code := a.Stop(); code != 0 {
		t.Errorf("the agent ended with %d", code)
	}
}
