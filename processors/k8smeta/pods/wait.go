package pods

import (
	"time"

	"github.com/tallylog/tally/processors/k8smeta"
)

const (
	refill     = 5                // a budget that is used up is whole again after so many times its length
	maxMissing = 4096             // how many pods are remembered that were waited for in vain
	forget     = 10 * time.Minute // after which one is waited for again
)

// wait is the state that bounds waiting. The time spent comes out of a budget, which time fills again at a fifth of its pace.
type wait struct {
	synced    bool // all pods have been seen once
	connected bool
	budget    time.Duration
	since     time.Time // of the budget's amount
	missing   map[k8smeta.Ref]time.Time
	waits     int
	vain      int
}

// Find is Get, and waits for a pod that is not known yet, as long as it may.
func (s *Store) Find(r k8smeta.Ref) *Pod {
	p := s.Get(r)
	if p != nil || s.o.Wait <= 0 {
		return p
	}
	key := k8smeta.Ref{UID: r.UID}
	if r.UID == "" {
		key = k8smeta.Ref{Namespace: r.Namespace, Pod: r.Pod, ContainerID: r.ContainerID}
	}
	began := time.Now()
	s.mu.Lock()
	most := s.allowed(key, began)
	if most <= 0 {
		s.mu.Unlock()
		return nil
	}
	s.wait.waits++
	timer := time.NewTimer(most)
	defer timer.Stop()
	timeout := false
	for p = s.get(r); p == nil && !timeout && (s.wait.connected || !s.wait.synced); p = s.get(r) {
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-timer.C:
			timeout = true
		}
		s.mu.Lock()
	}
	defer s.mu.Unlock()
	s.wait.budget = max(0, s.wait.budget-time.Since(began))
	if p == nil && timeout {
		s.wait.vain++
		if s.wait.missing == nil || len(s.wait.missing) >= maxMissing {
			s.wait.missing = map[k8smeta.Ref]time.Time{}
		}
		s.wait.missing[key] = time.Now()
	}
	return p
}

// allowed is how long the pod may be waited for.
func (s *Store) allowed(key k8smeta.Ref, now time.Time) time.Duration {
	w := &s.wait
	w.budget = min(s.o.Wait, w.budget+now.Sub(w.since)/refill)
	w.since = now
	if at, ok := w.missing[key]; ok && now.Sub(at) < forget {
		return 0
	}
	switch {
	case !w.synced:
		return min(w.budget, s.o.Wait-now.Sub(s.started))
	case !w.connected:
		return 0
	}
	return w.budget
}

// Waits tells how often a pod was waited for, and how often in vain.
func (s *Store) Waits() (all, vain int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.wait.waits, s.wait.vain
}

// IsConnected tells whether the watch stands.
func (s *Store) IsConnected() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.wait.connected
}
