package beat

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/elastic/beats/v7/filebeat/beater"
	"github.com/elastic/beats/v7/filebeat/channel"
	fbconfig "github.com/elastic/beats/v7/filebeat/config"
	"github.com/elastic/beats/v7/filebeat/input"
	inputs "github.com/elastic/beats/v7/filebeat/input/default-inputs"
	v2 "github.com/elastic/beats/v7/filebeat/input/v2"
	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/common/acker"
	"github.com/elastic/beats/v7/libbeat/logp"
	"github.com/elastic/beats/v7/libbeat/monitoring"
	"github.com/elastic/beats/v7/libbeat/paths"
	"github.com/elastic/beats/v7/libbeat/publisher/pipeline"
	"github.com/elastic/beats/v7/libbeat/publisher/pipetool"

	"github.com/tallylog/tally/beat/dialects/journalbeat7"
	"github.com/tallylog/tally/beat/filepos"
	"github.com/tallylog/tally/beat/processing"
	"github.com/tallylog/tally/inputs/applog"
	"github.com/tallylog/tally/inputs/hostid"
	"github.com/tallylog/tally/inputs/journald"
	"github.com/tallylog/tally/inputs/positions"
)

// tallybeat is Filebeat's beater with our inputs and their registry.
type tallybeat struct {
	beat.Beater
	states   states // open during Run
	closing  closing
	registry string // Journalbeat's, to take over and keep up; "" for none
	config   *common.Config
	wiring   *wiring
	stopped  sync.Once
	fields5  bool // the files of config.inputs are those of config.prospectors
	dynamics *dynamics
	log      *logp.Logger
}

// creator returns what makes the beater, for run, test config and setup alike.
func creator(translated *translation, w *wiring) beat.Creator {
	return func(b *beat.Beat, cfg *common.Config) (beat.Beater, error) {
		log := logp.NewLogger(b.Info.Beat)
		translated.warn(log, cfg, b.Config.Output)
		return newBeater(b, cfg, &tallybeat{log: log, wiring: w, fields5: translated.fields5()})
	}
}

func newBeater(b *beat.Beat, cfg *common.Config, t *tallybeat) (beat.Beater, error) {
	fb, err := beater.New(func(info beat.Info, log *logp.Logger, states beater.StateStore) []v2.Plugin {
		return plugins(b.Info.Beat, t.states, &t.closing, t.options(b))(info, log, states)
	})(b, cfg)
	if err != nil {
		return nil, err
	}
	t.Beater, t.config = fb, cfg
	if cfg.HasField(journalbeat7.RegistryKey) {
		if t.registry, err = cfg.String(journalbeat7.RegistryKey, -1); err != nil {
			return nil, err
		}
	}
	if !b.InSetupCmd {
		if err := checkInputs(b.Info.Beat, cfg); err != nil {
			return nil, err
		}
		if t.dynamics, err = newDynamics(b.Info, t.fields5, cfg, t.log); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// states is what inputs keep between runs.
type states struct {
	positions *positions.Store
	journals  journald.Positions                // positions, or Journalbeat's registry before them
	cursor    func(inputID, path string) string // Journalbeat's cursors; nil where there are none
}

// open opens the states; done closes them, in the reverse order.
func (t *tallybeat) open() (done func() error, err error) {
	store, err := positions.Open(paths.Resolve(paths.Data, "positions.db"))
	if err != nil {
		return nil, err
	}
	closeStore := func() error {
		if err := store.Close(); err != nil {
			return fmt.Errorf("cannot close the registry of positions: %w", err)
		}
		return nil
	}
	t.states = states{positions: store, journals: store}
	if t.registry == "" {
		return closeStore, nil
	}
	registry, err := journalbeat7.Open(paths.Resolve(paths.Data, t.registry), store, func(err error) { t.log.Error(err) })
	if err != nil {
		return nil, errors.Join(err, closeStore())
	}
	t.states.journals, t.states.cursor = registry, registry.Cursor
	return func() error { return errors.Join(registry.Close(), closeStore()) }, nil
}

// Run opens the states and runs Filebeat's beater until Stop.
func (t *tallybeat) Run(b *beat.Beat) (err error) {
	if err := checkRegistry(t.config); err != nil {
		return err
	}
	done, err := t.open()
	if err != nil {
		return err
	}
	defer func() {
		if closed := done(); err == nil {
			err = closed
		}
	}()
	if err := checkTakeovers(b.Info.Beat, t.config, t.states.positions, t.options(b)); err != nil {
		return err
	}
	p := t.wiring.acked
	p.start(t.log, b.Info.Beat)
	defer p.stop()
	defer metricsOf(t.wiring.board)()
	t.wiring.running()
	t.wiring.early.run(t.Stop)
	if t.options(b).controls {
		stop, err := tell(b.Publisher, b.Info, t.wiring.board, t.wiring.config, t.wiring.nodes)
		if err != nil {
			return fmt.Errorf("cannot tell the server how the agent is: %w", err)
		}
		defer stop()
	}
	b.Publisher = pipetool.WithACKer(b.Publisher, acker.RawCounting(p.add))
	if plugins := t.wiring.plugins; plugins != nil {
		defer plugins.Close()
		if err := plugins.Start(); err != nil {
			return fmt.Errorf("cannot start the plugins: %w", err)
		}
		defer plugins.Metrics()()
		b.Publisher = plugins.Pipeline(b.Publisher, t.options(b).controls)
	}
	b.Publisher = &apart{PipelineConnector: t.closing.pipeline(filepos.New(b.Publisher, hostid.Get(), t.options(b).bundles))}
	if err := t.dynamics.start(t.config, t.Stop); err != nil {
		return err
	}
	defer time.AfterFunc(pagesTime, func() {
		if err := givePages(); err != nil {
			t.log.Debugf("Memory of the start is kept: %v", err)
		}
	}).Stop()
	t.log.Infof("%s is running! Hit CTRL-C to stop it.", b.Info.Beat)
	defer t.log.Infof("%s is stopping", b.Info.Beat)
	err = t.Beater.Run(b)
	t.dynamics.end()
	return errors.Join(err, t.dynamics.err())
}

// Stop makes Run return.
func (t *tallybeat) Stop() {
	t.stopped.Do(func() {
		t.wiring.stopping()
		if t.dynamics != nil {
			t.dynamics.end() // Filebeat stops what they have started
		}
		t.Beater.Stop()
	})
}

// plugins returns Filebeat's inputs of the newer interface and ours, which replace those of the same name.
func plugins(name string, kept states, end *closing, o ownOptions) beater.PluginFactory {
	return func(info beat.Info, log *logp.Logger, states beater.StateStore) []v2.Plugin {
		// Filebeat asks for its inputs once in a process, when it begins to run.
		all := own(name, log, kept, monitoring.Default.NewRegistry("journald"), o)
		names := map[string]bool{}
		for _, p := range all {
			names[p.Name] = true
		}
		for _, p := range inputs.Init(info, log, states) {
			if !names[p.Name] {
				p.Manager = end.manager(p.Manager)
				all = append(all, p)
			}
		}
		return all
	}
}

// own returns our inputs. Under the names of the older beats a list of matches means what it means to them.
func own(name string, log *logp.Logger, kept states, metrics *monitoring.Registry, o ownOptions) []v2.Plugin {
	journals := journald.Options{HostID: hostid.Get(), Metrics: metrics, Controls: o.controls, Shared: o.shared, Board: o.board, Alternatives: name != Name, Cursor: kept.cursor}
	return []v2.Plugin{
		journald.Plugin(log, kept.journals, journals),
		applog.Plugin(log, kept.positions, o.applog()),
	}
}

// olderInputs are those of Filebeat's older interface which read nothing yet when they are made.
var olderInputs = []string{"log", "container", "docker"}

// checkInputs refuses unknown types, and for our own inputs options that they refuse. Filebeat itself looks at its inputs
// only after it has started to run. The errors name keys as go-ucfg's do, so that places finds them.
func checkInputs(beatName string, cfg *common.Config) error {
	var root struct {
		Inputs []*common.Config `config:"inputs"`
	}
	if err := cfg.Unpack(&root); err != nil {
		return err
	}
	for i, in := range root.Inputs {
		if err := checkInput(beatName, in); err != nil {
			key := fmt.Sprintf("%s.inputs.%d", beatName, i)
			if errors.Is(err, errUnknownType) {
				key += ".type"
			}
			return fmt.Errorf("%w accessing '%s'", err, key)
		}
	}
	return nil
}

var errUnknownType = errors.New("unknown input type")

// checkInput says why an input cannot run.
func checkInput(beatName string, in *common.Config) error {
	if !in.Enabled() {
		return nil
	}
	kind := struct {
		Type       string           `config:"type"`
		Processors []*common.Config `config:"processors"`
	}{Type: fbconfig.DefaultType}
	if err := in.Unpack(&kind); err != nil {
		return err
	}
	if err := processing.Check(kind.Processors); err != nil {
		return fmt.Errorf("input %s: %w", kind.Type, err)
	}
	// An input is only made here, not run, so none of them needs the registry.
	for _, p := range own(beatName, logp.NewLogger("input"), states{}, nil, ownOptions{}) {
		if p.Name == kind.Type {
			if _, err := p.Manager.Create(in); err != nil {
				return fmt.Errorf("input %s: %w", kind.Type, err)
			}
			return nil
		}
	}
	if slices.Contains(olderInputs, kind.Type) {
		// Filebeat finds errors in these only when it starts them, and may then hang instead of ending.
		unused := make(chan struct{})
		connector := channel.NewOutletFactory(unused).Create(pipeline.NewNilPipeline())
		if _, err := input.New(in, connector, unused, nil); err != nil {
			return fmt.Errorf("input %s: %w", kind.Type, err)
		}
		return nil
	}
	if _, err := input.GetFactory(kind.Type); err == nil {
		return nil
	}
	for _, p := range inputs.Init(beat.Info{}, logp.NewLogger("input"), nil) {
		if p.Name == kind.Type {
			return nil
		}
	}
	return fmt.Errorf("%w %q", errUnknownType, kind.Type)
}
