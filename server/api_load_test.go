package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// follower is a live tail that counts.
type follower struct {
	resp    *http.Response
	lines   *bufio.Scanner
	got     int
	skipped int
}

func (r *running) follow(ctx context.Context, query string) *follower {
	r.t.Helper()
	req, err := http.NewRequestWithContext(ctx, "GET", r.url+"/api/v1/tail?fields=n&query="+query, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.SetBasicAuth("admin", password)
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != 200 {
		r.t.Fatal(err, resp)
	}
	f := &follower{resp: resp, lines: bufio.NewScanner(resp.Body)}
	f.lines.Buffer(nil, 1<<20)
	if !f.lines.Scan() || !strings.HasPrefix(f.lines.Text(), ":") { // the watch stands
		r.t.Fatalf("a live tail begins with %q", f.lines.Text())
	}
	return f
}

// until reads until want events came or were said to be skipped, and fails where an event comes twice.
func (f *follower) until(want int) error {
	defer f.resp.Body.Close()
	seen := map[string]bool{}
	kind := ""
	for f.got+f.skipped < want && f.lines.Scan() {
		line := f.lines.Bytes()
		if name, ok := bytes.CutPrefix(line, []byte("event: ")); ok {
			kind = string(name)
		}
		data, ok := bytes.CutPrefix(line, []byte("data: "))
		switch {
		case !ok:
			continue
		case kind == "skipped":
			var n struct{ Count int }
			if err := json.Unmarshal(data, &n); err != nil || n.Count < 1 {
				return fmt.Errorf("skipped %s: %w", data, err)
			}
			f.skipped += n.Count
		case kind == "":
			id := string(data[:bytes.IndexByte(data, ',')])
			if seen[id] {
				return fmt.Errorf("%s comes twice", id)
			}
			seen[id] = true
			f.got++
		default:
			return fmt.Errorf("event %s: %s", kind, data)
		}
		kind = ""
	}
	if f.got+f.skipped != want {
		return fmt.Errorf("%d events and %d skipped, want %d together: %w", f.got, f.skipped, want, f.lines.Err())
	}
	return nil
}

// TestTailsAndQueriesWithIngest: 200 live tails and 50 queries at once while events arrive. Every event is stored, and every
// tail has each of its events or says how many it skipped; every query is answered, or told when to come again.
func TestTailsAndQueriesWithIngest(t *testing.T) {
	r := run(t, t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	const batches, size = 20, 250
	tails := make([]*follower, 200)
	for i := range tails {
		tails[i] = r.follow(ctx, []string{"*", "level:error"}[i%2])
	}
	var wg sync.WaitGroup
	for i, f := range tails {
		wg.Go(func() {
			if err := f.until(batches * size / (1 + i%2)); err != nil {
				t.Errorf("tail %d: %v", i, err)
			}
		})
	}
	asking, stop := context.WithCancel(ctx)
	var answered, busy sync.Map
	var questions sync.WaitGroup
	for i := range 50 {
		questions.Go(func() {
			path := searching[i%len(searching)]
			for asking.Err() == nil {
				req, _ := http.NewRequestWithContext(ctx, "GET", r.url+path, nil)
				req.SetBasicAuth("admin", password)
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				var b bytes.Buffer
				_, err = b.ReadFrom(resp.Body)
				resp.Body.Close()
				switch {
				case err != nil:
					t.Errorf("%s: %v", path, err)
				case resp.StatusCode == 200:
					answered.Store(i, true)
				case resp.StatusCode == 429 && resp.Header.Get("Retry-After") != "":
					busy.Store(i, true)
				default:
					t.Errorf("%s: %d %.200s", path, resp.StatusCode, b.String())
				}
			}
		})
	}
	for i := range batches {
		r.push(numbered(i*size, (i+1)*size), "Tally-Source", "load", "Tally-From", fmt.Sprint(i*size))
	}
	wg.Wait()
	stop()
	questions.Wait()
	for i := range 50 {
		_, ok := answered.Load(i)
		if _, told := busy.Load(i); !ok && !told {
			t.Errorf("question %d was never answered", i)
		}
	}
	r.count("*", batches*size)
	if _, ans, _ := r.do("GET", "/api/v1/sources?name=load", ""); !strings.Contains(ans, fmt.Sprintf(`"ranges":[[0,%d]],"gaps":[]`, batches*size)) {
		t.Errorf("sources: %s", ans)
	}
}

// TestSlowTailSaysWhatItSkipped: a client that does not read for a while gets the rest and the number of what is missing.
func TestSlowTailSaysWhatItSkipped(t *testing.T) {
	r := run(t, t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	slow := r.follow(ctx, "*")
	pad := strings.Repeat("x", 2000)
	const batches, size = 12, 2500
	for i := range batches {
		var b strings.Builder
		for k := range size {
			fmt.Fprintf(&b, "{\"message\":\"%d %s\"}\n", i*size+k, pad)
		}
		r.push(b.String())
	}
	if err := slow.until(batches * size); err != nil {
		t.Error(err)
	}
	if slow.skipped == 0 {
		t.Error("nothing was skipped, so this shows nothing")
	}
	r.count("*", batches*size)
}
