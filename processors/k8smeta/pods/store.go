package pods

import (
	"cmp"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/tallylog/tally/processors/k8smeta"
)

// Options are the bounds of a Store.
type Options struct {
	File    string        // where pods are kept; "" keeps them in memory only
	Wait    time.Duration // the longest wait for a pod; 0 for none
	Keep    time.Duration // how long a pod is kept that has gone
	MaxPods int           // how many pods are kept, those that have gone first among them to go; the living are never left out
	// Warn is called with what an operator should know.
	Warn func(format string, args ...any)
}

// Store holds the pods of a node. Its methods may be called by many goroutines at once.
type Store struct {
	o       Options
	started time.Time

	mu          sync.RWMutex
	byUID       map[string]*Pod // by UID, and by ConfigHash
	byName      map[name]*Pod   // the newest of each name
	byContainer map[string]*Pod
	gone        int // how many have gone
	changes     int // counts up
	changed     chan struct{}
	wait        wait
}

// New makes a Store with what the file holds.
func New(o Options) *Store {
	s := &Store{o: o, started: time.Now(), byUID: map[string]*Pod{}, byName: map[name]*Pod{}, byContainer: map[string]*Pod{},
		changed: make(chan struct{})}
	s.wait.budget, s.wait.since = o.Wait, s.started
	for _, p := range s.load() {
		s.put(p)
	}
	s.trim(s.started)
	s.changes = 0
	return s
}

// Put takes a pod as it is now.
func (s *Store) Put(p *Pod) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(p)
	s.tell()
}

// Replace takes all pods that there are now; the others have gone.
func (s *Store) Replace(all []*Pod) {
	s.mu.Lock()
	defer s.mu.Unlock()
	there := make(map[string]bool, len(all))
	for _, p := range all {
		there[p.UID] = true
		s.put(p)
	}
	now := time.Now()
	for _, p := range s.all() {
		if !there[p.UID] {
			s.leave(p, now)
		}
	}
	s.trim(now)
	s.wait.synced = true
	s.tell()
}

// Delete notes that the pod of that UID has gone. Its metadata are kept.
func (s *Store) Delete(uid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if p := s.byUID[uid]; p != nil {
		s.leave(p, now)
	}
	s.trim(now)
}

// Connected notes whether the watch stands.
func (s *Store) Connected(yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wait.connected = yes
	s.tell()
}

// Get finds the pod that a name or a path means, among those that are known now; nil where there is none. A UID counts alone: a pod
// of the same name and another UID is another pod.
func (s *Store) Get(r k8smeta.Ref) *Pod {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.get(r)
}

func (s *Store) get(r k8smeta.Ref) *Pod {
	if r.UID != "" {
		return s.byUID[r.UID]
	}
	if r.ContainerID != "" {
		if p := s.byContainer[r.ContainerID]; p != nil {
			return p
		}
	}
	if r.Pod == "" {
		return nil
	}
	return s.byName[name{r.Namespace, r.Pod}]
}

// Len tells how many pods there are, and how many are kept that have gone.
func (s *Store) Len() (there, gone int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.all()) - s.gone, s.gone
}

// all are the pods, each once.
func (s *Store) all() []*Pod {
	list := make([]*Pod, 0, len(s.byUID))
	for uid, p := range s.byUID {
		if p.UID == uid {
			list = append(list, p)
		}
	}
	return list
}

func (s *Store) put(p *Pod) {
	old := s.byUID[p.UID]
	if old != nil && reflect.DeepEqual(old, p) {
		return
	}
	if old != nil {
		s.drop(old)
	}
	s.byUID[p.UID] = p
	if p.ConfigHash != "" {
		s.byUID[p.ConfigHash] = p
	}
	if other := s.byName[p.name()]; other == nil || p.Gone.IsZero() || !other.Gone.IsZero() && other.Gone.Before(p.Gone) {
		s.byName[p.name()] = p
	}
	for _, c := range p.Containers {
		if c.ID != "" {
			s.byContainer[c.ID] = p
		}
	}
	if !p.Gone.IsZero() {
		s.gone++
	}
	s.changes++
}

// drop takes a pod out.
func (s *Store) drop(p *Pod) {
	if s.byUID[p.ConfigHash] == p {
		delete(s.byUID, p.ConfigHash)
	}
	delete(s.byUID, p.UID)
	if s.byName[p.name()] == p {
		delete(s.byName, p.name())
	}
	for _, c := range p.Containers {
		if s.byContainer[c.ID] == p {
			delete(s.byContainer, c.ID)
		}
	}
	if !p.Gone.IsZero() {
		s.gone--
	}
	s.changes++
}

func (s *Store) leave(p *Pod, now time.Time) {
	if p.Gone.IsZero() {
		left := *p
		left.Gone = now.UTC().Round(0)
		s.put(&left)
	}
}

// trim takes out those that have gone too long ago, or are too many, the longest gone first.
func (s *Store) trim(now time.Time) {
	if s.gone == 0 {
		return
	}
	all := s.all()
	over := len(all) - s.o.MaxPods
	left := slices.DeleteFunc(all, func(p *Pod) bool { return p.Gone.IsZero() })
	slices.SortFunc(left, func(a, b *Pod) int { return cmp.Or(a.Gone.Compare(b.Gone), cmp.Compare(a.UID, b.UID)) })
	for i, p := range left {
		if i < over || now.Sub(p.Gone) > s.o.Keep {
			s.drop(p)
		}
	}
}

// tell wakes those who wait.
func (s *Store) tell() {
	close(s.changed)
	s.changed = make(chan struct{})
}
