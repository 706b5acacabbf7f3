package intake

import (
	"context"
	"sync"
)

// Budget bounds the memory of batches that are being read and admitted. To rule out that holders who all need more wait for
// each other for ever, one holder at a time may go beyond the bound.
type Budget struct {
	max  int64
	mu   sync.Mutex
	free *sync.Cond
	used int64
	over *Share
}

// NewBudget bounds the sum of all shares to max bytes, and one share beyond.
func NewBudget(max int64) *Budget {
	b := &Budget{max: max}
	b.free = sync.NewCond(&b.mu)
	return b
}

// Used is the number of bytes held now.
func (b *Budget) Used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// Share is what one batch holds of the budget.
type Share struct {
	b *Budget
	n int64
}

// Share begins an empty share; Release must be called in the end.
func (b *Budget) Share() *Share { return &Share{b: b} }

// Grow adds n bytes, waiting until they are free or ctx is done.
func (s *Share) Grow(ctx context.Context, n int64) error {
	b := s.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used+n > b.max && b.over != s {
		stop := context.AfterFunc(ctx, func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.free.Broadcast()
		})
		defer stop()
		for b.used+n > b.max {
			if b.over == nil {
				b.over = s
				break
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			b.free.Wait()
		}
	}
	b.used += n
	s.n += n
	return nil
}

// Release gives all of it back.
func (s *Share) Release() {
	b := s.b
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= s.n
	s.n = 0
	if b.over == s {
		b.over = nil
	}
	b.free.Broadcast()
}
