package server

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestTailAtOnce pushes events one by one: a live tail has each before the next is sent, so none waits for others to come. It prints how
// long each takes from the sending of the push, which is durable before it is shown.
func TestTailAtOnce(t *testing.T) {
	r := run(t, t.TempDir())
	f := r.follow(t.Context(), "*")
	defer f.resp.Body.Close()
	const events = 200
	type arrival struct {
		data []byte
		at   time.Time
	}
	arrived := make(chan arrival, events)
	go func() {
		defer close(arrived)
		for f.lines.Scan() {
			if data, ok := bytes.CutPrefix(f.lines.Bytes(), []byte("data: ")); ok {
				arrived <- arrival{bytes.Clone(data), time.Now()}
			}
		}
	}()
	took := make([]time.Duration, events)
	for i := range took {
		sent := time.Now()
		r.push(fmt.Sprintf(`{"message":"event","n":%d}`, i))
		select {
		case a, ok := <-arrived:
			if want := fmt.Sprintf(`"n":"%d"`, i); !ok || !bytes.Contains(a.data, []byte(want)) {
				t.Fatalf("event %d: %q has not %s", i, a.data, want)
			}
			took[i] = a.at.Sub(sent)
		case <-time.After(patience):
			t.Fatalf("event %d does not come", i)
		}
	}
	slices.Sort(took)
	p50, p99 := took[events/2-1], took[events*99/100-1]
	t.Logf("from push to live tail, %d events: p50 %v, p99 %v, most %v", events, p50, p99, took[events-1])
}
