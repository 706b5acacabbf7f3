package applog

import (
	"os"
	"sync"
	"time"

	input "github.com/elastic/beats/v7/filebeat/input/v2"
	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/feature"
	"github.com/elastic/beats/v7/libbeat/logp"

	"github.com/tallylog/tally/inputs/hostid"
	"github.com/tallylog/tally/inputs/positions"
	"github.com/tallylog/tally/inputs/status"
	"github.com/tallylog/tally/outputs/bundle"
)

// Name is the input's type in a configuration.
const Name = "applog"

// workers read and publish at the same time; a source always stays with one of them.
const workers = 2

// Options are what the agent gives to all its applog inputs. The zero value is ready.
type Options struct {
	// Controls ships control records (skipped, lost, complete) beside the lines, for an output that gives them to nobody but
	// Tally.
	Controls bool
	// Bundles publishes many lines as one event (outputs/bundle), from inputs without processors of their own that look at single lines. It
	// is for a pipeline without such global processors whose output knows bundles.
	Bundles bool
	// Board is told what the running inputs know; nil for nobody.
	Board *status.Board
	// Registry is the path of the registry of Filebeat that "registry: auto" means; empty for none.
	Registry string
	// Scratch is a directory for files that live for a moment; empty for the system's.
	Scratch string
}

// Plugin returns the input type for Filebeat's input loader. All inputs made by it keep their positions in store, which must stay
// open until they have stopped, and never read one source twice.
func Plugin(log *logp.Logger, store *positions.Store, options Options) input.Plugin {
	c := &claims{of: map[string]*Input{}}
	return input.Plugin{
		Name:      Name,
		Stability: feature.Stable,
		Info:      "log files",
		Doc:       "Follows log files over rotation, truncation and removal, and gives every line its position.",
		Manager: input.ConfigureWith(func(cfg *common.Config) (input.Input, error) {
			parsed, err := parse(cfg)
			if err != nil {
				return nil, err
			}
			in := newInput(parsed, log.Named(Name), store, c, hostid.Get())
			in.controls = options.Controls
			in.board = options.Board
			in.registry, in.scratch = options.Registry, options.Scratch
			in.bundles = options.Bundles && bundle.Passes(cfg) && parsed.JSON == nil && parsed.Container == nil
			return in, nil
		}),
	}
}

// claims says which input has a source, so that two whose patterns overlap do not both read it.
type claims struct {
	mu sync.Mutex
	of map[string]*Input
}

// take reports whether in may read the source.
func (c *claims) take(source string, in *Input) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o := c.of[source]; o != nil {
		return o == in
	}
	c.of[source] = in
	return true
}

func (c *claims) release(in *Input) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s, o := range c.of {
		if o == in {
			delete(c.of, s)
		}
	}
}

// Input follows the files of one configuration.
type Input struct {
	cfg    config
	log    *logp.Logger
	store  *positions.Store
	claims *claims
	host   string
	// controls: see Options. The teller is there while the input runs with it.
	controls bool
	bundles  bool // see Options
	registry string
	scratch  string
	teller   *teller
	board    *status.Board

	mu         sync.Mutex
	room       *sync.Cond // on mu: inFlight shrank, or the input stops
	inFlight   int64      // bytes of the turns published and not settled
	stopped    bool
	workers    []*worker
	crowded    bool                 // files wait until others can be closed
	handedBack []*source            // whose file does not hold what was read from it
	waits      map[*source]struct{} // half a line stands at the end, or reading has failed
	untold     map[*source]struct{} // there may be news of them
	seen       status.Summary
	asked      bool          // since seen was made
	inbox      chan struct{} // has room for one: the discoverer should look at the sources
}

var _ input.Input = (*Input)(nil)

func newInput(cfg config, log *logp.Logger, store *positions.Store, c *claims, host string) *Input {
	in := &Input{
		cfg: cfg, log: log, store: store, claims: c, host: host, inbox: make(chan struct{}, 1),
		waits: map[*source]struct{}{}, untold: map[*source]struct{}{}, asked: true,
	}
	in.room = sync.NewCond(&in.mu)
	return in
}

// Name is the input's type.
func (in *Input) Name() string { return Name }

// Test has nothing to try beyond what making the input has checked: files may appear later.
func (in *Input) Test(input.TestContext) error { return nil }

// Run follows the files until ctx is cancelled. The error tells why it could not begin.
func (in *Input) Run(ctx input.Context, pipeline beat.PipelineConnector) error {
	defer in.claims.release(in)
	var running sync.WaitGroup
	defer running.Wait()
	for range workers {
		w := &worker{in: in, ready: sync.NewCond(&in.mu), buf: make([]byte, windowLen+sliceLen), parser: newParser(&in.cfg)}
		client, err := pipeline.ConnectWith(beat.ClientConfig{
			PublishMode: beat.GuaranteedSend,
			CloseRef:    ctx.Cancelation, // ends a Publish that blocks when the input is stopped
			ACKHandler:  newAcks(w),
			Processing:  beat.ProcessingConfig{Fields: common.MapStr{"input": common.MapStr{"type": Name}}},
		})
		if err != nil {
			in.stop()
			return err
		}
		w.client = client
		defer client.Close()
		in.workers = append(in.workers, w)
	}
	if in.controls {
		t, err := in.newTeller(pipeline, ctx.Cancelation)
		if err != nil {
			in.stop()
			return err
		}
		in.teller = t
		defer t.client.Close()
	}
	d, err := newDiscoverer(in)
	if err != nil {
		return err
	}
	if in.teller != nil {
		running.Go(in.teller.run)
	}
	for _, w := range in.workers {
		running.Go(w.run)
	}
	remove := in.board.Add(in.status)
	d.run(ctx.Cancelation.Done())
	remove()
	in.stop()
	for _, w := range in.workers {
		_ = w.client.Close() // a worker may be blocked in Publish
	}
	if in.teller != nil {
		_ = in.teller.client.Close()
	}
	running.Wait()
	d.close()
	return nil
}

func (in *Input) stop() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.stopped = true
	in.room.Broadcast()
	for _, w := range in.workers {
		w.ready.Broadcast()
	}
}

func (in *Input) isStopped() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.stopped
}

// signal asks the discoverer to look at the sources.
func (in *Input) signal() {
	select {
	case in.inbox <- struct{}{}:
	default:
	}
}

// wake gives s a turn. The caller holds in.mu.
func (in *Input) wake(s *source) {
	switch {
	case s.file == nil:
	case s.busy:
		s.again = true
	default:
		s.busy = true
		s.worker.queue = append(s.worker.queue, s)
		s.worker.ready.Signal()
	}
}

// detach takes the file from s: it no longer holds what was read from it. The discoverer finds out what has happened.
func (in *Input) detach(s *source, file *os.File) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if s.file == file {
		s.file = nil
		in.handedBack = append(in.handedBack, s)
		in.signal()
	}
}

// begin waits until the bytes of t fit under max_in_flight, and then counts them. It returns false when the input stops.
func (in *Input) begin(t *turn) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	n := t.to - t.from
	for !in.stopped && in.inFlight > 0 && in.inFlight+n > int64(in.cfg.MaxInFlight) {
		in.room.Wait()
	}
	if in.stopped {
		return false
	}
	in.inFlight += n
	t.source.turns = append(t.source.turns, t)
	if len(t.ends) == 0 {
		in.settle(t.source)
		in.save(t.source)
	}
	return true
}

func (in *Input) settle(s *source) {
	if n := s.settle(); n > 0 {
		in.inFlight -= n
		in.room.Broadcast()
	}
	in.mind(s)
}

// mind remembers a source that there may be news of, for when it rests. The caller holds in.mu, or is the only one to know s.
func (in *Input) mind(s *source) {
	if in.teller != nil && !s.telling && s.news() != nil {
		in.untold[s] = struct{}{}
	}
}

// filtered notes that a processor dropped event i of t. It is called before that event can be acknowledged.
func (in *Input) filtered(t *turn, i int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	t.ends[i] = -t.ends[i]
}

// acked takes the Private values of acknowledged events, in the order of publication, and saves the offsets.
func (in *Input) acked(data []interface{}) {
	in.mu.Lock()
	defer in.mu.Unlock()
	var touched []*source
	for _, d := range data {
		t, ok := turnOf(d)
		if !ok || t.acked == len(t.ends) {
			continue
		}
		t.ack()
		if n := len(touched); n == 0 || touched[n-1] != t.source {
			touched = append(touched, t.source)
		}
	}
	for _, s := range touched {
		in.settle(s)
		in.save(s)
		if s.file == nil || s.rest || in.crowded {
			in.signal()
		}
	}
}

// save writes the record of s to the registry. The caller holds in.mu, or is the only one to know s.
func (in *Input) save(s *source) {
	s.rec.Seen = time.Now().Unix()
	if err := in.store.Set(keyPrefix+s.rec.Source, s.rec); err != nil && !in.stopped {
		in.log.Errorf("cannot save the position of %q: %v", s.rec.Path, err)
	}
}
