package journald

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	input "github.com/elastic/beats/v7/filebeat/input/v2"
	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/feature"
	"github.com/elastic/beats/v7/libbeat/logp"
	"github.com/elastic/beats/v7/libbeat/monitoring"
	"github.com/elastic/go-concert/ctxtool"
	"github.com/elastic/go-concert/unison"

	"github.com/tallylog/tally/inputs/status"
)

const pluginName = "journald"

// Options are what the agent gives to all its journald inputs. The zero value is ready.
type Options struct {
	// HostID names the machine; package hostid has it.
	HostID string
	// Report is told of ranges that no event will ever cover. A range may be told again after a restart. It is called from
	// the goroutines that read, and must not block for long.
	Report func(Range)
	// Controls ships those ranges as control records too, for an output that gives them to nobody but Tally.
	Controls bool
	// Board is told what the running inputs know; nil for nobody.
	Board *status.Board
	// Metrics receives the counters; nil keeps them private.
	Metrics *monitoring.Registry
	// Alternatives makes a plain list of include_matches mean what it means to Filebeat 7.17 and to Journalbeat: an entry
	// needs to match one of them. Otherwise it means what it means to journalctl: matches of one field are
	// alternatives, those of different fields must all hold. The nested form is not touched by it.
	Alternatives bool
	// Shared lets events of inputs without processors and fields of their own have maps in common, which takes half the memory. Nothing
	// behind the input may change them, but for the host's, the event's and those that it adds.
	Shared bool
	// Cursor returns the cursor that another program left for a path of an input (an entry of Filebeat's registry,
	// Journalbeat's file), "" where there is none. It is asked when the path is read for the first time.
	Cursor func(inputID, path string) string
}

// Normal is the Private of this input's ProcessingConfig: its events need not be normalized. Their maps belong to them alone (but see
// Options.Shared), and their values are strings, numbers, booleans, common.Time, common.MapStr, and slices of these; none is nil.
type Normal struct{}

// Plugin returns the input type journald for Filebeat's loader of inputs.
func Plugin(log *logp.Logger, positions Positions, options Options) input.Plugin {
	return input.Plugin{
		Name:      pluginName,
		Stability: feature.Stable,
		Info:      "journald input",
		Doc:       "The journald input reads the journals of systemd and loses nothing that a file still holds",
		Manager: &manager{
			log: log, positions: positions, options: options, metrics: newMetrics(options.Metrics),
			running: map[string]struct{}{}, open: openFiles, locate: locate, watch: newWatcher,
		},
	}
}

type metrics struct {
	events, filtered, lost, failures, opened *monitoring.Int
}

// newMetrics makes the counters: events published, entries filtered, units lost, failures inside libsystemd, and how often
// sets of files were opened.
func newMetrics(r *monitoring.Registry) *metrics {
	if r == nil {
		r = monitoring.NewRegistry()
	}
	counter := func(name string) *monitoring.Int { return monitoring.NewInt(r, name) }
	return &metrics{counter("events"), counter("filtered"), counter("lost"), counter("failures"), counter("opened")}
}

// manager makes inputs and knows which are running.
type manager struct {
	log       *logp.Logger
	positions Positions
	options   Options
	metrics   *metrics
	open      opener
	locate    func(path string) location
	watch     func() *watcher

	mu      sync.Mutex
	running map[string]struct{}
}

var _ input.InputManager = (*manager)(nil)

func (m *manager) Init(unison.Group, input.Mode) error { return nil }

func (m *manager) Create(raw *common.Config) (input.Input, error) {
	cfg := defaultConfig()
	if err := raw.Unpack(&cfg); err != nil {
		return nil, err
	}
	if err := cfg.prepare(time.Now(), m.options.Alternatives); err != nil {
		return nil, err
	}
	cfg.shared = m.options.Shared && !raw.HasField("processors") && !raw.HasField("fields")
	if len(cfg.Paths) == 0 {
		cfg.Paths = []string{localJournal}
	}
	if cfg.CursorFile != nil {
		if err := cfg.checkCursorFile(); err != nil {
			return nil, fmt.Errorf("%w accessing '%s'", err, raw.PathOf("cursor_file.path"))
		}
	}
	return &journal{manager: m, cfg: cfg}, nil
}

// claim refuses what another input reads already.
func (m *manager) claim(key string) (release func(), err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.running[key]; ok {
		return nil, fmt.Errorf("cannot run a second journald input as %q: give each input an id of its own, and a cursor_file", key)
	}
	m.running[key] = struct{}{}
	return func() {
		m.mu.Lock()
		delete(m.running, key)
		m.mu.Unlock()
	}, nil
}

// journal is one configured input.
type journal struct {
	manager *manager
	cfg     config
}

var _ input.Input = (*journal)(nil)

func (j *journal) Name() string { return pluginName }

// Test tells whether the journals can be read at present.
func (j *journal) Test(input.TestContext) error {
	if err := loadLibrary(); err != nil {
		return err
	}
	var errs []error
	for _, path := range j.cfg.Paths {
		ls := j.manager.locate(path).list()
		for _, err := range ls.bad {
			errs = append(errs, err)
		}
		if len(ls.wanted) == 0 && len(ls.bad) == 0 && path != localJournal {
			errs = append(errs, fmt.Errorf("cannot find journal %q: %w", path, os.ErrNotExist))
		}
	}
	return errors.Join(errs...)
}

// Run reads all paths until it is cancelled. The error of one path ends them all.
func (j *journal) Run(ctx input.Context, pipeline beat.PipelineConnector) error {
	run, cancel := context.WithCancel(ctxtool.FromCanceller(ctx.Cancelation))
	defer cancel()
	if f := j.cfg.EntryFields; f != nil && f.Beat {
		f.agent = common.MapStr{"name": ctx.Agent.Name, "hostname": ctx.Agent.Hostname, "version": ctx.Agent.Version}
	}
	errs := make(chan error, len(j.cfg.Paths))
	var foreign foreignState
	var cursors *cursorFile
	if c := j.cfg.CursorFile; c != nil {
		release, err := j.manager.claim("cursor_file " + c.Path)
		if err != nil {
			return err
		}
		defer release()
		if foreign, err = c.read(j.cfg.Seek == seekCursor); err != nil {
			return err
		}
		cursors = newCursorFile(*c, foreign, ctx.Logger)
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() { cursors.run(stop); close(stopped) }()
		defer func() { close(stop); <-stopped }()
	}
	for _, path := range j.cfg.Paths {
		go func() {
			err := j.follow(run, ctx.Logger.With("path", path), path, pipeline, foreign, cursors)
			if err != nil {
				cancel()
			}
			errs <- err
		}()
	}
	var all error
	for range j.cfg.Paths {
		all = errors.Join(all, <-errs)
	}
	return all
}

func (j *journal) follow(ctx context.Context, log *logp.Logger, path string, pipeline beat.PipelineConnector, foreign foreignState, cursors *cursorFile) error {
	m := j.manager
	key := pluginName + "::" + path
	if j.cfg.ID != "" {
		key = pluginName + "::" + j.cfg.ID + "::" + path
	}
	release, err := m.claim(key)
	if err != nil {
		return err
	}
	defer release()
	client, err := pipeline.ConnectWith(beat.ClientConfig{
		PublishMode: beat.GuaranteedSend, CloseRef: ctx, ACKHandler: newACKHandler(),
		Processing: beat.ProcessingConfig{Private: Normal{}},
	})
	if err != nil {
		return err
	}
	defer client.Close()
	f := &follower{
		ctx: ctx, cfg: &j.cfg, log: log, client: client, store: m.positions, metrics: m.metrics, report: m.options.Report, controls: m.options.Controls,
		hostID: m.options.HostID, opener: m.open, watch: m.watch, path: path, key: key, where: m.locate(path),
		foreign: foreign, cursors: cursors,
	}
	if m.options.Cursor != nil {
		f.takeover = m.options.Cursor(j.cfg.ID, path)
	}
	defer m.options.Board.Add(f.seen.get)()
	return f.run()
}
