package beat

import (
	"testing"

	"github.com/elastic/beats/v7/libbeat/logp"
)

func TestPublished(t *testing.T) {
	if err := logp.DevelopmentSetup(logp.ToObserverOutput()); err != nil {
		t.Fatal(err)
	}
	p := &published{}
	p.start(logp.NewLogger("test"), "name")
	for range 1000 {
		p.add(3)
	}
	p.stop()
	p.again() // a timer that had fired already when it was stopped
	lines, total := 0, int64(0)
	for _, e := range logp.ObserverLogs().TakeAll() {
		if e.Message != "name successfully published events" {
			continue
		}
		lines++
		total += e.ContextMap()["event.count"].(int64)
	}
	if total != 3000 || lines < 2 || lines > 10 {
		t.Errorf("%d lines tell of %d events, want 3000 events in few lines", lines, total)
	}
}
