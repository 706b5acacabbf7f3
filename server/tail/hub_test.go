package tail

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tallylog/tally/event"
)

func batch(from, n int) []event.Event {
	out := make([]event.Event, n)
	for i := range out {
		out[i] = event.Event{ID: fmt.Sprint(from + i)}
	}
	return out
}

func TestWatchMatchesAndSkips(t *testing.T) {
	var h Hub
	all := func(*event.Event) bool { return true }
	w := h.Watch(1, func(e *event.Event) bool { return strings.HasSuffix(e.ID, "0") }, 100)
	slow := h.Watch(1, all, 5)
	other := h.Watch(2, all, 100)
	h.Publish(1, batch(0, 100))
	got, skipped, err := w.Next(t.Context())
	if err != nil || len(got) != 10 || skipped != 0 || got[9].ID != "90" {
		t.Errorf("%d events, %d skipped, %v; want 10, 0", len(got), skipped, err)
	}
	got, skipped, _ = slow.Next(t.Context())
	if len(got) != 5 || skipped != 95 || got[4].ID != "4" {
		t.Errorf("the slow one has %d and skipped %d, want 5 and 95", len(got), skipped)
	}
	h.Publish(1, batch(100, 1))
	if got, skipped, _ = slow.Next(t.Context()); len(got) != 1 || skipped != 0 {
		t.Errorf("afterwards it has %d and skipped %d, want 1 and 0", len(got), skipped)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := other.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("another tenant's watcher: %v", err)
	}
	for _, w := range []*Watcher{w, slow, other} {
		w.Close()
	}
	if h.Watchers() != 0 {
		t.Errorf("%d watchers are left", h.Watchers())
	}
}
