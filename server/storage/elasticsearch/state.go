package elasticsearch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tallylog/tally/server/storage"
)

// How long is waited before what failed is tried again.
const (
	firstPause = 200 * time.Millisecond
	mostPause  = 5 * time.Second
)

// state is why the store cannot work at present.
type state struct {
	log *slog.Logger
	mu  sync.Mutex
	why string // fit for everybody's eyes; empty while all is well
}

// set notes the reason and says so when it is another one.
func (s *state) set(why string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if why == s.why {
		return
	}
	if why != "" {
		s.log.Error("the store waits", "why", why, "error", err)
	} else {
		s.log.Info("the store no longer waits", "why", s.why)
	}
	s.why = why
}

func (s *state) reason() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why
}

// errLayout means an index that is not ours.
var errLayout = errors.New("an index of that name has another mapping")

// diagnose returns what is wrong in words that give nothing away, and whether searches may still work.
func diagnose(err error) (why string, searchable bool) {
	var f *failure
	if errors.Is(err, errLayout) {
		return "mapping conflict: an index that Tally did not make has the name of one of its indices", true
	}
	if !errors.As(err, &f) {
		switch text := err.Error(); {
		case strings.Contains(text, "the client noticed that the server is not Elasticsearch"):
			return "what answers at the address is no Elasticsearch of version 7.14 or later", false
		case strings.Contains(text, "x509:") || strings.Contains(text, "tls:"):
			return "the TLS certificates of Elasticsearch and Tally do not fit", false
		}
		return "Elasticsearch cannot be reached", false
	}
	switch {
	case f.Status == 401:
		return "Elasticsearch refuses the credentials", false
	case f.Type == "cluster_block_exception" && (f.Status == 429 || strings.Contains(f.Reason, "read-only-allow-delete") || strings.Contains(f.Reason, "read-only / allow delete")):
		return "the disk of Elasticsearch is too full: it has made indices read-only", true
	case f.Type == "cluster_block_exception" && f.Status == 403:
		return "Elasticsearch has an index that is read-only", true
	case f.Status == 403:
		return "Elasticsearch does not allow this user what Tally needs", false
	case f.Status == 429:
		return "Elasticsearch is overloaded", true
	case strings.Contains(f.Reason, "No space left"), strings.Contains(f.Reason, "not enough space"):
		return "the disk of Elasticsearch is full", true
	case f.Type == "unavailable_shards_exception", f.Type == "no_shard_available_action_exception", f.Type == "search_phase_execution_exception":
		return "shards of Elasticsearch are not available", false
	case f.Status == 503:
		return "Elasticsearch has no master, or is starting", false
	case f.Type == "validation_exception":
		return "Elasticsearch does not take another index: " + f.Reason, true
	}
	return "Elasticsearch refuses the work: " + f.Type, true
}

// retry calls f until it succeeds or ctx is done, and notes why it does not.
func (s *Store) retry(ctx context.Context, f func() error) error {
	pause := firstPause
	for {
		err := f()
		if err == nil {
			s.state.set("", nil)
			return nil
		}
		if ctx.Err() != nil {
			return ended(ctx)
		}
		why, _ := diagnose(err)
		s.state.set(why, err)
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", why, ctx.Err())
		case <-s.stop.Done():
			return errClosed
		case <-time.After(pause):
		}
		pause = min(2*pause, mostPause)
	}
}

// shardTime is how long a search waits for shards that are on their way: those of an index just made, or of a node that has gone.
const shardTime = 10 * time.Second

// search sends a request of a search, again while shards are on their way.
func (s *Store) search(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	begun, pause := time.Now(), 20*time.Millisecond
	for {
		b, err := s.c.do(ctx, method, path, body)
		if status(err) != http.StatusServiceUnavailable || time.Since(begun) > shardTime {
			return b, searchError(ctx, err)
		}
		select {
		case <-ctx.Done():
			return nil, ended(ctx)
		case <-s.stop.Done():
			return nil, errClosed
		case <-time.After(pause):
		}
		pause = min(2*pause, time.Second)
	}
}

// searchError says how a search failed.
func searchError(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if e := ended(ctx); e != nil {
		return e
	}
	var f *failure
	if errors.As(err, &f) {
		switch {
		case f.Type == "circuit_breaking_exception", strings.Contains(f.Type, "too_many_clauses"), strings.Contains(f.Type, "too_many_nested_clauses"),
			strings.Contains(f.Reason, "maxClauseCount"): // as Elasticsearch 7 calls it
			return fmt.Errorf("%w: %w", storage.ErrPartial, err)
		case f.Status == 400:
			return fmt.Errorf("cannot search: %w", err)
		}
	}
	why, _ := diagnose(err)
	return &storage.Unavailable{Reason: why, Err: err}
}

// ended says how ctx ended a search, if it did.
func ended(ctx context.Context) error {
	err := ctx.Err()
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", storage.ErrPartial, err)
	}
	return err
}
