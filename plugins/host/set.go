package host

import (
	"cmp"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// Options for New.
type Options struct {
	Log *slog.Logger
	// Host is what plugins are told of this program: its name and version.
	Host string
}

// Set holds the plugins of one program.
type Set struct {
	o  Options
	mu sync.Mutex
	// all instances by key, with the drafts that use them.
	all    map[string]*held
	closed bool
}

type held struct {
	*instance
	users int
}

// New makes an empty set.
func New(o Options) *Set { return &Set{o: o, all: map[string]*held{}} }

// Draft is one configuration's use of a set. Its plugins start with Start and end with Close, unless another draft uses them too.
type Draft struct {
	s     *Set
	named map[string]Config
	only  bool

	mu   sync.Mutex
	keys []string
}

// Draft begins the use of a set by a configuration, with what stands under its key plugins.
func (s *Set) Draft(plugins strictyaml.Node) (*Draft, error) {
	named, err := ReadNamed(plugins)
	if err != nil {
		return nil, err
	}
	return &Draft{s: s, named: named}, nil
}

// With gives a draft that takes the same named plugins and no others, for configurations of people who may not choose what this
// machine runs.
func (d *Draft) With() *Draft { return &Draft{s: d.s, named: d.named, only: true} }

// Check refuses programs that are missing, that others can change, or that are not what their checksum says. It starts nothing.
func (d *Draft) Check() error {
	seen := map[string]bool{}
	check := func(c *Config) error {
		if k := c.Path + c.Checksum.String(); seen[k] {
			return nil
		} else {
			seen[k] = true
		}
		f, sum, err := load(c.Path)
		if err != nil {
			return c.home.At("path").Place(err)
		}
		f.Close()
		if sum != c.Checksum {
			return c.home.At("checksum").Errorf("the file %q is not the one that is wanted: it has %s", c.Path, sum)
		}
		return nil
	}
	for _, c := range d.named {
		if err := check(&c); err != nil {
			return err
		}
	}
	for _, p := range d.instances() {
		if err := check(p.c); err != nil {
			return err
		}
	}
	return nil
}

// Processor makes the step of a pipeline.
func (d *Draft) Processor(n strictyaml.Node) (processor.Processor, error) {
	if path, _ := n.Take("path"); d.only && !path.IsZero() {
		return nil, n.At("path").Errorf("only plugins that the server's configuration names under plugins can be used here")
	}
	c, err := read(n, d.named)
	if err != nil {
		return nil, err
	}
	s := d.s
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.all[c.key()]
	if h == nil {
		h = &held{instance: newInstance(c, s.o.Host, s.o.Log)}
		s.all[c.key()] = h
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Contains(d.keys, c.key()) {
		d.keys = append(d.keys, c.key())
		h.users++
	}
	return &Step{c: &c, p: h.instance}, nil
}

func (d *Draft) instances() (out []*instance) {
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, k := range d.keys {
		out = append(out, d.s.all[k].instance)
	}
	return out
}

// Start starts the plugins that do not run yet, and waits until each has come up or failed for the first time. The error is that of a
// plugin that no second try would mend: options that it does not take, a checksum that is another. One that merely does not
// come up is tried again, in growing intervals.
func (d *Draft) Start() error {
	all := d.instances()
	d.s.mu.Lock()
	for _, p := range all {
		if p.cancel == nil && !d.s.closed {
			p.begin()
		}
	}
	closed := d.s.closed
	d.s.mu.Unlock()
	if closed {
		return errors.New("the plugins are being stopped")
	}
	var errs []error
	for _, p := range all {
		<-p.first
		if p.firstErr != nil {
			errs = append(errs, p.firstErr)
		}
	}
	return errors.Join(errs...)
}

// Close ends the use; plugins that nobody else uses are stopped. No batch may be under way in them.
func (d *Draft) Close() {
	d.s.mu.Lock()
	d.mu.Lock()
	var gone []*instance
	for _, k := range d.keys {
		if h := d.s.all[k]; h != nil {
			if h.users--; h.users == 0 {
				delete(d.s.all, k)
				gone = append(gone, h.instance)
			}
		}
	}
	d.keys = nil
	d.mu.Unlock()
	d.s.mu.Unlock()
	stopAll(gone)
}

// Close stops all plugins. Steps that are still used fail by their policy.
func (s *Set) Close() {
	s.mu.Lock()
	var gone []*instance
	for _, h := range s.all {
		gone = append(gone, h.instance)
	}
	s.closed = true
	s.mu.Unlock()
	stopAll(gone)
}

func stopAll(list []*instance) {
	var wg sync.WaitGroup
	for _, p := range list {
		wg.Go(p.stop)
	}
	wg.Wait()
}

// Status is what there is to tell of a plugin. The counters are since this program started, or since the configuration of the plugin
// changed.
type Status struct {
	Name     string    `json:"name"`
	Version  string    `json:"version,omitempty"` // empty until it has run
	Path     string    `json:"path"`
	Checksum string    `json:"checksum"`
	State    string    `json:"state"`
	Since    time.Time `json:"since"`
	PID      int       `json:"pid,omitempty"`
	Memory   int64     `json:"memory_bytes,omitempty"` // resident
	OnFail   string    `json:"on_failure"`
	// Events went in; of them Failed stayed as they were or went by the policy, Dropped are gone, and Made came out beside them.
	Events        int64            `json:"events"`
	Failed        int64            `json:"failed"`
	Dropped       int64            `json:"dropped"`
	Made          int64            `json:"made"`
	Batches       int64            `json:"batches"`
	FailedBatches int64            `json:"failed_batches"`
	Seconds       float64          `json:"seconds"` // in calls, all together
	Restarts      int64            `json:"restarts"`
	Ends          map[string]int64 `json:"ends"` // by reason: exit, start, timeout, memory, output, garbage
	LastError     string           `json:"last_error,omitempty"`
}

// List tells of all plugins, by name.
func (s *Set) List() []Status {
	s.mu.Lock()
	var all []*instance
	for _, h := range s.all {
		all = append(all, h.instance)
	}
	s.mu.Unlock()
	out := make([]Status, len(all))
	for i, p := range all {
		out[i] = p.status()
	}
	slices.SortFunc(out, func(a, b Status) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Path, b.Path), a.Since.Compare(b.Since))
	})
	return out
}

func (p *instance) status() Status {
	st := &p.stats
	p.mu.Lock()
	defer p.mu.Unlock()
	out := Status{
		Name: p.c.Name, Version: p.version, Path: p.c.Path, Checksum: p.c.Checksum.String(), State: p.state, Since: p.since, OnFail: string(p.c.OnFailure),
		Events: st.events.Load(), Failed: st.failed.Load(), Dropped: st.dropped.Load(), Made: st.made.Load(), Batches: st.batches.Load(),
		FailedBatches: st.failedBatches.Load(), Seconds: float64(st.nanoseconds.Load()) / 1e9, Restarts: max(0, st.starts.Load()-1),
		Ends: map[string]int64{}, LastError: p.lastErr,
	}
	for k, n := range p.kills {
		out.Ends[k] = n
	}
	if p.session != nil {
		if out.PID = p.session.proc.pid(); out.PID != 0 {
			out.Memory = resident(out.PID)
		}
	}
	return out
}
