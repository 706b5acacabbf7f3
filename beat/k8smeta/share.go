package k8smeta

import (
	"context"
	"errors"
	"maps"
	"os"
	"sync"
	"sync/atomic"

	"github.com/elastic/beats/v7/libbeat/logp"
	"github.com/elastic/beats/v7/libbeat/monitoring"
	"github.com/elastic/beats/v7/libbeat/paths"
	"github.com/elastic/beats/v7/libbeat/processors"

	"github.com/tallylog/tally/processors/k8smeta/pods"
)

// Name is the processor's, in configurations.
const Name = "k8smeta"

// Register makes the processor known to libbeat, and returns what tells the names of the cluster's nodes (share.Nodes). It is called once
// in a process. running and stopping are closed when the beat begins to
// run and to stop: the watch, and the file of pods in path.data, live between the two.
func Register(running, stopping <-chan struct{}) (nodes func() []string) {
	s := newShare(running, stopping, func() string { return paths.Resolve(paths.Data, "k8smeta.pods") })
	processors.RegisterPlugin(Name, s.processor)
	monitoring.NewFunc(monitoring.Default, Name, s.report)
	return s.Nodes
}

// share is the one watch of a process, and what the processors have asked of it.
type share struct {
	running, stopping <-chan struct{}
	file              func() string

	once        sync.Once
	store       atomic.Pointer[pods.Store] // nil before the watch has begun, and where there is none
	ended       chan struct{}              // closed when the file has been written for the last time
	annotations atomic.Pointer[map[string]bool]
	nodes       atomic.Pointer[[]string]
	again       chan struct{} // asks for a new list, as there are more annotations to keep

	mu     sync.Mutex
	config *shared // of the first processor
}

func newShare(running, stopping <-chan struct{}, file func() string) *share {
	s := &share{running: running, stopping: stopping, file: file, ended: make(chan struct{}), again: make(chan struct{}, 1)}
	s.annotations.Store(&map[string]bool{})
	return s
}

// join adds a processor. All must agree about the watch, as there is one.
func (s *share) join(c config) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.config == nil:
		s.config = &c.shared
		go func() {
			select {
			case <-s.running:
				s.begin()
			case <-s.stopping:
			}
		}()
	case *s.config != c.shared:
		return errors.New("all k8smeta processors of an agent share one watch: watch, kube_config, node, wait, keep and max_pods must be the same in each (after a change restart the agent)")
	}
	known := *s.annotations.Load()
	more := maps.Clone(known)
	for _, name := range c.Annotations {
		more[name] = true
	}
	if len(more) > len(known) {
		s.annotations.Store(&more)
		select {
		case s.again <- struct{}{}:
		default:
		}
	}
	return nil
}

// begin starts the watch, once.
func (s *share) begin() { s.once.Do(s.start) }

func (s *share) start() {
	log := logp.NewLogger(Name)
	c := s.config
	if !c.Watch {
		close(s.ended)
		return
	}
	client, err := connect(c.KubeConfig)
	if err != nil {
		log.Errorf("Events get only what names and paths tell: %v", err)
	}
	if client == nil {
		if err == nil {
			log.Infof("Neither kube_config nor a service account: events get only what names and paths tell")
		}
		close(s.ended)
		return
	}
	node := c.Node
	if node == "" {
		if node, err = os.Hostname(); err != nil {
			log.Errorf("Events get only what names and paths tell: set node, as the host's name cannot be read: %v", err)
			close(s.ended)
			return
		}
	}
	store := pods.New(pods.Options{File: s.file(), Wait: c.Wait, Keep: c.Keep, MaxPods: c.MaxPods, Warn: log.Warnf})
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-s.stopping; cancel() }()
	go func() { store.Keep(ctx); close(s.ended) }()
	f := &follower{client: client, node: node, store: store, log: log, annotations: func() map[string]bool { return *s.annotations.Load() }}
	select {
	case <-s.again: // nothing has been listed yet
	default:
	}
	go s.follow(ctx, f)
	go s.listNodes(ctx, client, log.Warnf)
	s.store.Store(store)
	log.Infof("Watching the pods of node %q", node)
}

// follow lists anew whenever there are more annotations to keep.
func (s *share) follow(ctx context.Context, f *follower) {
	for ctx.Err() == nil {
		inner, cancel := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() { f.follow(inner); close(done) }()
		select {
		case <-ctx.Done():
		case <-s.again:
		}
		cancel()
		<-done
	}
}

// report shows the watch among the agent's metrics.
func (s *share) report(_ monitoring.Mode, v monitoring.Visitor) {
	v.OnRegistryStart()
	defer v.OnRegistryFinished()
	store := s.store.Load()
	if store == nil {
		return
	}
	there, gone := store.Len()
	waits, vain := store.Waits()
	monitoring.ReportInt(v, "pods", int64(there))
	monitoring.ReportInt(v, "pods_gone", int64(gone))
	monitoring.ReportInt(v, "waits", int64(waits))
	monitoring.ReportInt(v, "waits_in_vain", int64(vain))
	monitoring.ReportBool(v, "connected", store.IsConnected())
}
