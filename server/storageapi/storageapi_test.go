package storageapi

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/tallylog/tally/server/storage"
)

// slow is a store whose count takes as long as the test wants.
type slow struct {
	storage.Store
	storage.Partitioned
	begun   chan struct{}
	proceed chan error
}

func (s slow) Partitions(_ context.Context, counted bool) ([]storage.Partition, error) {
	p := []storage.Partition{{Name: "a", Rows: 7}}
	if counted {
		s.begun <- struct{}{}
		if err := <-s.proceed; err != nil {
			return nil, err
		}
		p[0].Shares = []storage.Share{{Rows: 7}}
	}
	return p, nil
}

// TestCounting: while a count takes long an answer goes without it, one count runs for all who ask, one that failed is begun anew, and what
// was counted is given.
func TestCounting(t *testing.T) {
	s := slow{begun: make(chan struct{}, 9), proceed: make(chan error)}
	h := &Handler{Store: s, Wait: time.Millisecond, Log: slog.New(slog.DiscardHandler)}
	ask := func(counting bool, shares int) {
		t.Helper()
		parts, c, err := h.partitions(t.Context())
		if err != nil || c != counting || len(parts) != 1 || parts[0].Rows != 7 || len(parts[0].Shares) != shares {
			t.Errorf("%+v, %v, %v", parts, c, err)
		}
	}
	ended := func(err error) {
		t.Helper()
		h.mu.Lock()
		done := h.counting
		h.mu.Unlock()
		s.proceed <- err
		<-done
	}
	ask(true, 0)
	ask(true, 0)
	<-s.begun
	if len(s.begun) > 0 {
		t.Error("two counts run at once")
	}
	ended(errors.New("disk"))
	ask(true, 0)
	<-s.begun
	ended(nil)
	ask(false, 1)
	if len(s.begun) > 0 {
		t.Error("what was just counted is counted again")
	}
	h.at = time.Now().Add(-time.Hour)
	ask(true, 1) // those of the last count, while the next runs
	<-s.begun
	ended(nil)
	h.Wait, h.at = time.Minute, time.Now().Add(-time.Hour)
	go func() { <-s.begun; s.proceed <- nil }()
	ask(false, 1)
}
