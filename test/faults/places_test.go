package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/test/rig"
)

// TestAgentEndsAtPlaces ends the agent on either side of what its promise rests on (internal/failpoint): what the server has acknowledged,
// and what the registry of positions has on disk. After a restart every line is stored, once.
func TestAgentEndsAtPlaces(t *testing.T) {
	s := rig.NewServer(t, t.TempDir(), "").Start()
	lines := 20_000
	if *long {
		lines = 200_000
	}
	for place, visits := range map[string][]int{
		"agent.ack.before": {1, 3}, "agent.ack.after": {1, 2}, "agent.positions.before": {1, 2}, "agent.positions.after": {1, 2},
		"agent.positions.created": {1}, "agent.positions.renamed": {1},
	} {
		if !*long {
			visits = visits[len(visits)-1:]
		}
		for _, visit := range visits {
			name := fmt.Sprintf("%s %d", place, visit)
			t.Run(name, func(t *testing.T) {
				file := filepath.Join(t.TempDir(), strings.ReplaceAll(place, ".", "-")+fmt.Sprint(visit)+".log")
				if err := writeLines(file, lines, 0); err != nil {
					t.Fatal(err)
				}
				a := rig.NewAgent(t, s.Lumberjack, fmt.Sprintf("- type: applog\n  paths: [%q]\n", file))
				a.Env = []string{fmt.Sprintf("TALLY_FAILPOINT=%s=%d", place, visit)}
				a.Start()
				if code := a.Wait(time.Minute); code != -1 {
					t.Fatalf("the agent ended with %d, want the signal", code)
				}
				a.Env = nil
				a.Start()
				query := fmt.Sprintf("log.file.path:=%q", file)
				s.WaitCount(query, lines, time.Minute)
				a.Stop()
				lost, doubled := rig.Tallied(s.Events(query, "message"), lines, number)
				st, err := os.Stat(file)
				if err != nil {
					t.Fatal(err)
				}
				src := s.Sources(file)
				if len(src) != 1 || fmt.Sprint(src[0].Ranges) != fmt.Sprintf("[[0 %d]]", st.Size()) || len(src[0].Gaps) != 0 || src[0].Conflicts != 0 {
					t.Errorf("account %+v, want [[0 %d]]", src, st.Size())
				}
				report(t, row{name: "agent killed at " + name, written: lines, lost: lost, doubled: doubled})
			})
		}
	}
}
