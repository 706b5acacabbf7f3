package runs

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"log"
	"math/rand"
	"net/http"
	"strings"
	"sync"
	"time"

	lumberlog "github.com/elastic/go-lumber/log"

	lumber "github.com/elastic/go-lumber/client/v2"

	"github.com/tallylog/tally/test/rig"
)

func init() { lumberlog.Logger = log.New(io.Discard, "", 0) } // it prints each connection that is cut

// traffic sends a stream until all of it is acknowledged.
type traffic struct {
	*stream
	seed       int64
	http, lj   string // addresses, behind the network that may fail
	mu         sync.Mutex
	rnd        *rand.Rand
	queue      [][2]int // ranges of lines to be sent, once more perhaps
	unfinished int
}

func newTraffic(m *model, s *stream, rnd *rand.Rand, http, lj string) *traffic {
	t := &traffic{stream: s, seed: m.seed, http: http, lj: lj, rnd: rand.New(rand.NewSource(rnd.Int63()))}
	for from := 0; from < s.lines; {
		to := min(s.lines, from+1+rnd.Intn(25))
		t.queue = append(t.queue, [2]int{from, to})
		from = to
	}
	t.unfinished = len(t.queue)
	return t
}

// again queues all of the stream once more, as a client does that has lost its notes.
func (t *traffic) again() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for from := 0; from < t.lines; from += 90 {
		t.queue = append(t.queue, [2]int{from, min(t.lines, from+90)})
		t.unfinished++
	}
}

// run sends over several connections at once until everything is acknowledged, or ctx ends.
func (t *traffic) run(ctx context.Context) {
	var wg sync.WaitGroup
	for range 1 + t.rnd.Intn(3) {
		wg.Go(func() {
			s := &sender{t: t}
			defer s.close()
			for ctx.Err() == nil {
				r, ok := t.next()
				switch {
				case !ok && t.done():
					return
				case !ok:
					time.Sleep(5 * time.Millisecond) // another sender has the last ones
				default:
					t.settle(r, s.send(ctx, r[0], r[1]))
				}
			}
		})
	}
	wg.Wait()
}

func (t *traffic) done() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.unfinished == 0
}

// next takes a range, mostly one of the first few.
func (t *traffic) next() (r [2]int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 {
		return r, false
	}
	i := t.rnd.Intn(min(len(t.queue), 3))
	r = t.queue[i]
	t.queue = append(t.queue[:i], t.queue[i+1:]...)
	return r, true
}

// settle queues again what was not acknowledged, cut in other places, and now and then what was.
func (t *traffic) settle(r [2]int, acked bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if acked {
		if t.unfinished--; t.rnd.Intn(8) > 0 {
			return
		}
		r[0] = max(0, r[0]-t.rnd.Intn(20)) // sent twice, together with neighbours
		r[1] = min(t.lines, r[1]+t.rnd.Intn(20))
		t.unfinished++
	} else if n := r[1] - r[0]; n > 1 && t.rnd.Intn(2) == 0 {
		cut := r[0] + 1 + t.rnd.Intn(n-1)
		t.queue = append(t.queue, [2]int{r[0], cut})
		r[0] = cut
		t.unfinished++
	}
	t.queue = append(t.queue, r)
}

// sender is one connection of a stream, made again after each failure.
type sender struct {
	t    *traffic
	conn *lumber.SyncClient
	vain int // how often in a row nothing was acknowledged
}

func (s *sender) close() {
	if s.conn != nil {
		_ = s.conn.Close()
		s.conn = nil
	}
}

// patience is how long an answer is waited for before the connection is given up, at first.
const patience = 3 * time.Second

// patience grows with each answer that does not come: a server may be slow for longer than a network is broken.
func (s *sender) patience() time.Duration {
	return min(patience*time.Duration(1+s.vain/4), time.Minute)
}

// send sends lines [from, to) and tells whether the server has acknowledged them.
func (s *sender) send(ctx context.Context, from, to int) bool {
	var ok bool
	switch s.t.kind {
	case "lumberjack":
		ok = s.window(from, to)
	case "push":
		ok = s.post(ctx, "/api/v1/push", s.t.body(from, to, ""), "Tally-Source", s.t.name, "Tally-From", fmt.Sprint(from))
	case "bulk":
		ok = s.post(ctx, "/_bulk", s.t.body(from, to, s.t.name))
	}
	if ok {
		s.vain = 0
		return true
	}
	s.vain++
	time.Sleep(10 * time.Millisecond)
	return false
}

func (s *sender) window(from, to int) bool {
	if s.conn == nil {
		c, err := lumber.SyncDial(s.t.lj, lumber.Timeout(s.patience()), lumber.CompressionLevel(3),
			lumber.JSONEncoder(func(v any) ([]byte, error) { return v.([]byte), nil }))
		if err != nil {
			return false
		}
		s.conn = c
	}
	var lines []any
	for i := from; i < to; i++ {
		if s.t.leftOut(i) {
			continue
		}
		lines = append(lines, s.t.event(i))
	}
	if len(lines) == 0 { // the event that follows tells it
		return true
	}
	if n, err := s.conn.Send(lines); err != nil || n != len(lines) {
		s.close()
		return false
	}
	return true
}

// event is line i as an agent sends it.
func (t *traffic) event(i int) []byte {
	h := fnv.New64a()
	h.Write([]byte(t.message(i)))
	skipped, w := 0, t.width()
	for j := i - 1; j >= 0 && t.leftOut(j); j-- {
		skipped += w
	}
	b, err := json.Marshal(map[string]any{
		"@timestamp": time.Now().UTC().Format(time.RFC3339Nano), "message": t.message(i), "run": fmt.Sprint(t.seed), "stream": t.name,
		"@metadata": map[string]any{"tally": map[string]any{"source": t.name, "from": i * w, "to": (i + 1) * w, "skipped": skipped, "sum": fmt.Sprintf("%x", h.Sum64())}},
	})
	if err != nil {
		panic(err)
	}
	return b
}

// body is the NDJSON of a push; with an index that of a bulk request.
func (t *traffic) body(from, to int, index string) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		if index != "" {
			fmt.Fprintf(&b, `{"create":{"_index":%q,"_id":"%d"}}`+"\n", index, i)
		}
		fmt.Fprintf(&b, `{"message":%q,"run":"%d","stream":%q}`+"\n", t.message(i), t.seed, t.name)
	}
	return b.String()
}

var web = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func (s *sender) post(ctx context.Context, path, body string, header ...string) bool {
	ctx, cancel := context.WithTimeout(ctx, s.patience())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "POST", "http://"+s.t.http+path, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	req.SetBasicAuth("admin", rig.Password)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := web.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return false
	}
	if path == "/_bulk" { // each item for itself: made now, or known
		var bulk struct {
			Items []map[string]struct{ Status int }
		}
		if json.Unmarshal(answer, &bulk) != nil || len(bulk.Items) == 0 {
			return false
		}
		for _, item := range bulk.Items {
			if st := item["create"].Status; st != http.StatusCreated && st != http.StatusConflict {
				return false
			}
		}
	}
	return true
}
