package processing

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/monitoring"
	"github.com/elastic/beats/v7/libbeat/processors"

	"github.com/tallylog/tally/event"
	ours "github.com/tallylog/tally/processors"
	"github.com/tallylog/tally/strictyaml"
)

// joining looks at whole batches, which the agent's processors never see.
const joining = "multiline"

func refuseJoining(*common.Config) (processors.Processor, error) {
	return nil, errors.New("multiline joins the lines of a batch and runs in the server; in the agent it is the input's work: set the input's option multiline")
}

// step is one of our processors, run on libbeat's events.
type step struct {
	chain *ours.Chain
	count *counters
}

// counters are those of all the processors of one name.
type counters struct{ events, dropped, failed *monitoring.Int }

func newCounters(r *monitoring.Registry, name string) *counters {
	r = r.NewRegistry(name)
	return &counters{monitoring.NewInt(r, "events"), monitoring.NewInt(r, "dropped"), monitoring.NewInt(r, "failed")}
}

// adapted makes the constructor of one of our processors.
func adapted(name string, count *counters) processors.Constructor {
	return func(c *common.Config) (processors.Processor, error) {
		keys := map[string]any{}
		if err := c.Unpack(&keys); err != nil {
			return nil, err
		}
		delete(keys, "when") // the caller's
		if _, ok := keys["tenant"]; ok && name == "route" {
			return nil, fmt.Errorf("route: only the server's pipelines choose the tenant accessing '%s.tenant'", c.Path())
		}
		text, err := yaml.Marshal([]any{map[string]any{name: keys}})
		if err != nil {
			return nil, fmt.Errorf("cannot read the configuration of %s: %w", name, err)
		}
		// libbeat has replaced variables already; what is still there, as in replace's ${group}, is meant.
		n, err := strictyaml.Parse(name, text, func(v string) (string, bool) { return "${" + v + "}", true })
		if err != nil {
			return nil, err
		}
		chain, err := ours.Compile(n)
		if err != nil {
			return nil, accessing(err, c.Path(), name)
		}
		return &step{chain, count}, nil
	}
}

var place = regexp.MustCompile(`^\w+:\d+: (?:([\w.\-@\[\]]+): )?`)

// accessing turns an error that names a place in the text made above into one that names the key in go-ucfg's words, by which its
// line in the user's file is found.
func accessing(err error, path, name string) error {
	m := place.FindStringSubmatch(err.Error())
	if m == nil {
		return err
	}
	if _, key, ok := strings.Cut(m[1]+".", name+"."); ok && key != "" {
		path = strings.TrimPrefix(path+"."+strings.TrimSuffix(key, "."), ".")
	}
	return fmt.Errorf("%s: %s accessing '%s'", name, err.Error()[len(m[0]):], path)
}

type scratch struct {
	flat   event.Event
	before []event.Field
}

var pool = sync.Pool{New: func() any { return &scratch{} }}

// Run implements processors.Processor. A failure tags the event, as it does in the server; it is no error to libbeat.
func (s *step) Run(e *beat.Event) (*beat.Event, error) {
	x := pool.Get().(*scratch)
	defer func() {
		clear(x.flat.Fields)
		clear(x.before)
		pool.Put(x)
	}()
	x.flat = event.Event{Fields: flatten(x.flat.Fields[:0], "", e.Fields, maxDepth)}
	if !e.Timestamp.IsZero() {
		x.flat.Time = e.Timestamp.UnixNano()
	}
	x.before = append(x.before[:0], x.flat.Fields...)
	stats := &s.chain.Steps[0].Stats
	failures := stats.Failures.Load() + stats.Panics.Load()
	now := x.flat.Time
	s.count.events.Inc()
	keep := s.chain.Process(&x.flat)
	if stats.Failures.Load()+stats.Panics.Load() != failures {
		s.count.failed.Inc()
	}
	if !keep {
		s.count.dropped.Inc()
		return nil, nil
	}
	if x.flat.Time != now {
		e.Timestamp = time.Unix(0, x.flat.Time).UTC()
	}
	e.Fields = putBack(e.Fields, x.before, x.flat.Fields)
	return e, nil
}

// String implements processors.Processor.
func (s *step) String() string { return s.chain.Steps[0].String() }
