package fanout

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/common/cfgtype"
	"github.com/elastic/beats/v7/libbeat/logp"
	"github.com/elastic/beats/v7/libbeat/monitoring"
	"github.com/elastic/beats/v7/libbeat/outputs"
	"github.com/elastic/beats/v7/libbeat/paths"
	"github.com/elastic/beats/v7/libbeat/publisher"
	"github.com/elastic/beats/v7/libbeat/testing"

	"github.com/tallylog/tally/outputs/bundle"
)

// Name is the type of this output.
const Name = "fanout"

// spillConfig is read from spill of the fan-out, and then from spill of the child.
type spillConfig struct {
	Enabled *bool            `config:"enabled"`                         // unset: where there are several outputs
	Path    string           `config:"path"`                            // a directory of each child's name below it
	MaxSize cfgtype.ByteSize `config:"max_size" validate:"min=1048576"` // of one child
	After   time.Duration    `config:"after"    validate:"min=1ms"`     // a batch that waits for longer makes its child spill
}

var childName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// Factory returns the factory of this output. Nothing is delivered, and no spill is opened, before running is closed: libbeat makes
// its outputs for commands too that only look at the configuration. Once stopping is closed every batch goes to the spills, so that
// it can be acknowledged before the process ends, and does not come again to those children that have it.
func Factory(running, stopping <-chan struct{}) outputs.Factory {
	return func(im outputs.IndexManager, info beat.Info, observer outputs.Observer, cfg *common.Config) (outputs.Group, error) {
		f := &fan{log: logp.NewLogger(Name), observer: observer, stop: make(chan struct{}), started: make(chan struct{})}
		size, err := f.load(im, info, cfg)
		if err != nil {
			return outputs.Fail(err)
		}
		go f.start(running, stopping)
		// The children have retries of their own; those of a batch of the fan-out have no end.
		return outputs.Group{Clients: []outputs.Client{f}, BatchSize: size, Retry: -1}, nil
	}
}

// load makes the children and returns the size of batches, which is that of the child with the smallest.
func (f *fan) load(im outputs.IndexManager, info beat.Info, cfg *common.Config) (size int, err error) {
	base := spillConfig{Path: paths.Resolve(paths.Data, Name), MaxSize: 1 << 30, After: time.Second}
	top := struct {
		Outputs map[string]*common.Config `config:"outputs" validate:"required"`
		Spill   spillConfig               `config:"spill"`
	}{Spill: base}
	if err := cfg.Unpack(&top); err != nil {
		return 0, err
	}
	sub, err := cfg.Child("outputs", -1)
	if err != nil {
		return 0, err
	}
	var names []string
	for _, name := range sub.GetFields() {
		c, err := sub.Child(name, -1)
		if err != nil {
			return 0, err
		}
		if !childName.MatchString(name) {
			return 0, fmt.Errorf("the name %q of an output has other characters than letters, digits, - and _, accessing 'output.fanout.outputs.%s'", name, name)
		}
		if c.Enabled() {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return 0, errors.New("no output is enabled accessing 'output.fanout.outputs'")
	}
	slices.Sort(names)
	for _, name := range names {
		c, err := sub.Child(name, -1)
		if err != nil {
			return 0, err
		}
		own := struct {
			Type  string      `config:"type"`
			Spill spillConfig `config:"spill"`
		}{Type: name, Spill: top.Spill}
		if err := c.Unpack(&own); err != nil {
			return 0, err
		}
		if own.Type == Name || outputs.FindFactory(own.Type) == nil {
			return 0, fmt.Errorf("unknown output %q accessing 'output.fanout.outputs.%s.type'", own.Type, name)
		}
		g, err := outputs.Load(im, info, stats(name), own.Type, c)
		if err != nil {
			return 0, fmt.Errorf("cannot make output %q: %w", name, err)
		}
		if g.BatchSize > 0 && (size <= 0 || g.BatchSize < size) {
			size = g.BatchSize
		} else if size == 0 {
			size = -1
		}
		enabled := len(names) > 1
		if own.Spill.Enabled != nil {
			enabled = *own.Spill.Enabled
		}
		if enabled {
			own.Spill.Path = filepath.Join(paths.Resolve(paths.Data, own.Spill.Path), name)
		} else {
			own.Spill.Path = ""
		}
		f.children = append(f.children, newChild(name, own.Type, g, f.log))
		f.spills = append(f.spills, own.Spill)
	}
	return size, nil
}

// stats are the metrics of one child. An output that is made anew begins at 0, as libbeat's own do.
func stats(name string) outputs.Observer {
	path := "libbeat." + Name + "." + name
	monitoring.Default.Remove(path)
	return outputs.NewStats(monitoring.Default.NewRegistry(path))
}

// fan is the one client of the output.
type fan struct {
	log      *logp.Logger
	observer outputs.Observer
	children []*child
	spills   []spillConfig // of the children; Path is its own directory, or empty for none
	once     sync.Once
	stop     chan struct{}
	started  chan struct{} // closed when start has returned
}

var (
	_ outputs.Client   = (*fan)(nil)
	_ testing.Testable = (*fan)(nil)
)

func (f *fan) start(running, stopping <-chan struct{}) {
	defer close(f.started)
	select {
	case <-running:
	case <-f.stop:
		return
	}
	for _, dir := range f.orphans() {
		f.log.Warnf("the spill %s belongs to no output; its events stay there", dir)
	}
	for i, c := range f.children {
		o := f.spills[i]
		var s *spill
		var recs []*stored
		if o.Path != "" {
			var err error
			if s, recs, err = openSpill(o.Path, int64(o.MaxSize), f.log); err != nil {
				f.log.Errorf("output %s goes without a spill, and holds up the others when it is down: %v", c.name, err)
				s = nil
			}
		}
		if len(recs) > 0 {
			f.log.Infof("output %s continues with %d batches of its spill", c.name, len(recs))
		}
		c.start(s, recs, o.After)
	}
	go func() {
		select {
		case <-stopping:
			for _, c := range f.children {
				c.hurry()
			}
		case <-f.stop:
		}
	}()
}

// orphans are the directories with segments that lie beside those of the children.
func (f *fan) orphans() (out []string) {
	for i, o := range f.spills {
		if o.Path == "" || slices.ContainsFunc(f.spills[:i], func(s spillConfig) bool { return filepath.Dir(s.Path) == filepath.Dir(o.Path) }) {
			continue
		}
		names, _ := filepath.Glob(filepath.Join(filepath.Dir(o.Path), "*", "*"+extension))
		for _, name := range names {
			dir := filepath.Dir(name)
			if !slices.ContainsFunc(f.spills, func(s spillConfig) bool { return s.Path == dir }) && !slices.Contains(out, dir) {
				out = append(out, dir)
			}
		}
	}
	return out
}

// Publish hands a batch to every child. It neither blocks nor fails, as a worker of libbeat's pipeline that gets an error ends
// for good; what is under way is bounded by the pipeline's queue, which keeps every event until it is acknowledged.
func (f *fan) Publish(_ context.Context, b publisher.Batch) error {
	// The pipeline uses its slice again once the batch is acknowledged, and the spill may still be reading it then.
	events := slices.Clone(b.Events())
	size := bundle.Count(events)
	f.observer.NewBatch(size)
	p := &parent{batch: b, observer: f.observer, size: size}
	p.left.Store(int32(len(f.children)))
	for _, c := range f.children {
		c.push(p, events)
	}
	return nil
}

// Close ends all children.
func (f *fan) Close() error {
	f.once.Do(func() {
		close(f.stop)
		<-f.started
		for _, c := range f.children {
			c.close()
		}
	})
	return nil
}

func (f *fan) String() string {
	var names []string
	for _, c := range f.children {
		names = append(names, c.name)
	}
	return Name + "(" + strings.Join(names, ",") + ")"
}

// Test is what the command "test output" shows: the test of every client of every child.
func (f *fan) Test(d testing.Driver) {
	for _, c := range f.children {
		d.Run(c.name, func(d testing.Driver) {
			for _, cl := range c.clients {
				if t, ok := cl.(testing.Testable); ok {
					t.Test(d)
				} else {
					d.Info("output", cl.String()+" has no test")
				}
			}
		})
	}
}

// parent is a batch of the pipeline.
type parent struct {
	batch    publisher.Batch
	observer outputs.Observer
	size     int
	left     atomic.Int32
}

// childDone is called once for each child.
func (p *parent) childDone() {
	if p.left.Add(-1) == 0 {
		p.observer.Acked(p.size)
		p.batch.ACK()
	}
}
