package admit

import (
	"context"
	"errors"
	"maps"
	"math/rand"
	"sync"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/storage"
)

// memStore keeps rows in memory the way a store on disk does: what is not synced is lost by a crash, batch by batch and in no
// order, and what a replay brings again is not doubled. Searching is not its business.
type memStore struct {
	storage.Searcher
	mu      sync.Mutex
	rows    map[string]int // id → how often
	pending map[uint64][]string
	kept    map[uint64][]event.Event // durable, by sequence number
	after   uint64
	block   chan struct{} // Append waits until it is closed, when not nil
}

func newMemStore() *memStore {
	return &memStore{rows: map[string]int{}, pending: map[uint64][]string{}, kept: map[uint64][]event.Event{}}
}

func (m *memStore) Append(ctx context.Context, b *storage.Batch) error {
	if m.block != nil {
		select {
		case <-m.block:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if b.Seq <= m.after {
		return errors.New("a batch from before the checkpoint is fed")
	}
	if _, ok := m.kept[b.Seq]; ok {
		return nil
	}
	var ids []string
	for _, e := range b.Events {
		m.rows[e.ID]++
		ids = append(ids, e.ID)
	}
	m.kept[b.Seq] = append([]event.Event(nil), b.Events...)
	m.pending[b.Seq] = ids
	return nil
}

func (m *memStore) Sync(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.pending)
	return nil
}

func (m *memStore) Has(_ context.Context, _ uint32, ids []string) (map[string]bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]bool{}
	for _, id := range ids {
		if m.rows[id] > 0 {
			out[id] = true
		}
	}
	return out, nil
}

func (m *memStore) Recover(_ context.Context, seq uint64, f func(uint32, *event.Event) error) error {
	for _, e := range m.kept[seq] {
		if err := f(0, &e); err != nil {
			return err
		}
	}
	return nil
}

func (m *memStore) Usage(context.Context) (storage.Usage, error) { return storage.Usage{}, nil }
func (m *memStore) Close() error                                 { return m.Sync(context.Background()) }

// crash loses some of what was not synced.
func (m *memStore) crash(r *rand.Rand) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for seq, ids := range m.pending {
		if r.Intn(2) == 0 {
			continue
		}
		for _, id := range ids {
			if m.rows[id]--; m.rows[id] == 0 {
				delete(m.rows, id)
			}
		}
		delete(m.kept, seq)
	}
	clear(m.pending)
}

func (m *memStore) snapshot() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.rows)
}
