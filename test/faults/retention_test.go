package faults

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/test/rig"
)

// oldLines are numbered lines of so many days, the oldest first, the last of today.
func oldLines(days, perDay int) string {
	var b strings.Builder
	midnight := time.Now().UTC().Truncate(24 * time.Hour)
	for i := range days * perDay {
		at := midnight.AddDate(0, 0, i/perDay-days+1)
		fmt.Fprintf(&b, `{"@timestamp":%q,"message":"line %d of some days"}`+"\n", at.Format(time.RFC3339), i)
	}
	return b.String()
}

// TestServerEndsWhileRemoving ends the server at each place of a removal by retention. Nothing that is to be kept is lost, what was
// removed does not come back, by itself or sent again, and each day that went is listed once.
func TestServerEndsWhileRemoving(t *testing.T) {
	const days, perDay, kept = 6, 500, 3
	places := []string{"remove.renamed=1", "remove.deleted=2"}
	if *long {
		places = append(places, "remove.noted=1", "remove.closed=2", "remove.renamed=3")
	}
	for _, place := range places {
		t.Run(place, func(t *testing.T) {
			dir := t.TempDir()
			s := rig.NewServer(t, dir, "buffer: {checkpoint: 1s}\nretention: {age: 30d}\n").Start()
			body := oldLines(days, perDay)
			send := func(s *rig.Server, want string) {
				t.Helper()
				code, answer, err := s.Request("POST", "/api/v1/push", body, "Tally-Source", "s", "Tally-From", "0")
				if err != nil || code != 200 || !strings.HasPrefix(answer, want) {
					t.Fatalf("push: %d %.300s %v, want %s", code, answer, err, want)
				}
			}
			send(s, fmt.Sprintf(`{"accepted":%d,"duplicates":0`, days*perDay))
			s.WaitCount("*", days*perDay, time.Minute)
			if code := s.Stop(); code != 0 {
				t.Fatalf("the server ended with %d", code)
			}

			s = rig.NewServer(t, dir, fmt.Sprintf("buffer: {checkpoint: 1s}\nretention: {age: %dh}\n", 24*(kept-1)+1))
			s.Env = []string{"TALLY_FAILPOINT=" + place}
			if code := s.Begin().Wait(time.Minute); code != -1 {
				t.Fatalf("the server ended with %d, want the signal", code)
			}
			s.Env = nil
			s.Start()
			type removed struct{ Day, Reason string }
			var list []removed
			rig.Eventually(t, time.Minute, "the old days are gone", func() bool {
				var a struct{ Removed []removed }
				err := s.Get("/api/v1/storage", nil, &a)
				list = a.Removed
				return err == nil && len(list) >= days-kept
			})
			all := map[string]int{}
			for _, r := range list {
				all[r.Day]++
			}
			if len(list) != days-kept || len(all) != days-kept {
				t.Errorf("removed: %+v, want %d days, each once", list, days-kept)
			}
			send(s, fmt.Sprintf(`{"accepted":0,"duplicates":%d`, days*perDay))
			s.WaitCount("*", kept*perDay, time.Minute)
			var lines []map[string]string
			for _, e := range s.Events("*", "message") {
				n := 0
				if _, err := fmt.Sscanf(e["message"], "line %d of", &n); err != nil {
					t.Fatal(err)
				}
				e["message"] = fmt.Sprintf("line %d of", n-(days-kept)*perDay)
				lines = append(lines, e)
			}
			lost, doubled := rig.Tallied(lines, kept*perDay, number)
			if len(lines) != kept*perDay {
				t.Errorf("%d lines are there, want the %d of %d days", len(lines), kept*perDay, kept)
			}
			if src := s.Sources("s"); len(src) != 1 || len(src[0].Gaps) != 0 || src[0].Conflicts != 0 {
				t.Errorf("account %+v", src)
			}
			report(t, row{name: "server killed at " + place, written: kept * perDay, lost: lost, doubled: doubled})
		})
	}
}

// TestServerEndsAtLetters ends the server on either side of what is done with dead letters. A line is stored, or a letter, or was
// dropped by somebody: never none of them, and never stored twice.
func TestServerEndsAtLetters(t *testing.T) {
	const lines = 300 // every third is rejected by the pipeline at first
	const broken = "pipelines:\n- name: numbers\n  on_failure: dead_letter\n  processors:\n  - grok: {patterns: 'line %{INT:n} of [a-w]'}\n"
	const mended = "pipelines:\n- name: numbers\n  on_failure: dead_letter\n  processors:\n  - grok: {patterns: 'line %{INT:n} of'}\n"
	var b strings.Builder
	for i := range lines {
		fmt.Fprintf(&b, `{"message":"line %d of %s"}`+"\n", i, []string{"some", "more", "x"}[i%3])
	}
	body := b.String()
	begin := func(t *testing.T, dir, config, place string) *rig.Server {
		s := rig.NewServer(t, dir, "buffer: {checkpoint: 1s}\n"+config)
		if place != "" {
			s.Env = []string{"TALLY_FAILPOINT=" + place}
		}
		return s.Start()
	}
	send := func(s *rig.Server) (int, string) {
		code, answer, err := s.Request("POST", "/api/v1/push", body, "Tally-Source", "s", "Tally-From", "0")
		if err != nil {
			return 0, err.Error()
		}
		return code, answer
	}
	letters := func(t *testing.T, s *rig.Server) int {
		t.Helper()
		var a struct{ Totals struct{ Letters int } }
		if err := s.Get("/api/v1/deadletters", nil, &a); err != nil {
			t.Fatal(err)
		}
		return a.Totals.Letters
	}
	// act does something during which the server ends, starts it again as it was, and does it again.
	act := func(t *testing.T, s *rig.Server, place string, do func() (int, string)) {
		t.Helper()
		if code, answer := do(); code == 200 {
			t.Fatalf("the server was to end at %s, and answers %s", place, answer)
		}
		if code := s.Wait(time.Minute); code != -1 {
			t.Fatalf("the server ended with %d, want the signal", code)
		}
		s.Env = nil
		s.Start()
		if code, answer := do(); code != 200 {
			t.Fatalf("after %s: %d %s", place, code, answer)
		}
	}
	places := []string{"letters.put.after", "letters.replay.fed"}
	if *long {
		places = append(places, "letters.put.before", "letters.replay.admitted", "letters.replay.removed", "letters.drop.before", "letters.drop.after")
	}
	for _, place := range places {
		t.Run(place, func(t *testing.T) {
			dir := t.TempDir()
			put := strings.HasPrefix(place, "letters.put")
			s := begin(t, dir, broken, map[bool]string{true: place + "=1"}[put])
			if put {
				act(t, s, place, func() (int, string) { return send(s) })
			} else if code, answer := send(s); code != 200 {
				t.Fatalf("push: %d %s", code, answer)
			}
			s.WaitCount("*", lines*2/3, time.Minute)
			if n := letters(t, s); n != lines/3 {
				t.Errorf("%d letters, want %d", n, lines/3)
			}
			if code := s.Stop(); code != 0 {
				t.Fatalf("the server ended with %d", code)
			}
			if strings.HasPrefix(place, "letters.drop") {
				s = begin(t, dir, mended, place+"=1")
				act(t, s, place, func() (int, string) {
					code, answer, _ := s.Request("DELETE", "/api/v1/deadletters?all=true", "")
					return code, answer
				})
			} else {
				at := place + "=1"
				if put {
					at = "letters.replay.removed=1"
				}
				s = begin(t, dir, mended, at)
				act(t, s, at, func() (int, string) {
					code, answer, _ := s.Request("POST", "/api/v1/deadletters/replay?all=true", "")
					return code, answer
				})
			}
			send(s) // all of them once more, dropped ones too
			s.WaitCount("*", lines, time.Minute)
			if n := letters(t, s); n != 0 {
				t.Errorf("%d letters are left", n)
			}
			lost, doubled := rig.Tallied(s.Events("*", "message"), lines, number)
			report(t, row{name: "server killed at " + place, written: lines, lost: lost, doubled: doubled})
		})
	}
}
