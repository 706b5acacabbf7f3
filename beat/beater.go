package beat

import (
	"fmt"

	"github.com/elastic/beats/v7/filebeat/beater"
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
	"github.com/elastic/beats/v7/libbeat/publisher/pipetool"

	"github.com/tallylog/tally/inputs/applog"
	"github.com/tallylog/tally/inputs/hostid"
	"github.com/tallylog/tally/inputs/journald"
	"github.com/tallylog/tally/inputs/positions"
)

// tallybeat is Filebeat's beater with our inputs and their registry.
type tallybeat struct {
	beat.Beater
	store    *positions.Store // open during Run
	running  func()
	stopping func()
	log      *logp.Logger
}

// creator returns what makes the beater, for run, test config and setup alike. running and stopping are called when the beat
// begins to run and to stop.
func creator(translated *translation, running, stopping func()) beat.Creator {
	return func(b *beat.Beat, cfg *common.Config) (beat.Beater, error) {
		log := logp.NewLogger(b.Info.Beat)
		translated.warn(log)
		return newBeater(b, cfg, &tallybeat{log: log, running: running, stopping: stopping})
	}
}

func newBeater(b *beat.Beat, cfg *common.Config, t *tallybeat) (beat.Beater, error) {
	fb, err := beater.New(func(info beat.Info, log *logp.Logger, states beater.StateStore) []v2.Plugin {
		return plugins(t.store, ownOutput(b))(info, log, states)
	})(b, cfg)
	if err != nil {
		return nil, err
	}
	t.Beater = fb
	if !b.InSetupCmd {
		if err := checkInputs(b.Info.Beat, cfg); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// Run opens the registry and runs Filebeat's beater until Stop.
func (t *tallybeat) Run(b *beat.Beat) (err error) {
	if t.store, err = positions.Open(paths.Resolve(paths.Data, "positions.db")); err != nil {
		return err
	}
	defer func() {
		if closed := t.store.Close(); err == nil && closed != nil {
			err = fmt.Errorf("cannot close the registry of positions: %w", closed)
		}
	}()
	p := newPublished(t.log, b.Info.Beat)
	defer p.stop()
	t.running()
	b.Publisher = pipetool.WithACKer(b.Publisher, acker.RawCounting(p.add))
	t.log.Infof("%s is running! Hit CTRL-C to stop it.", b.Info.Beat)
	defer t.log.Infof("%s is stopping", b.Info.Beat)
	return t.Beater.Run(b)
}

// Stop makes Run return.
func (t *tallybeat) Stop() {
	t.stopping()
	t.Beater.Stop()
}

// plugins returns Filebeat's inputs of the newer interface and ours, which replace those of the same name.
func plugins(store *positions.Store, controls bool) beater.PluginFactory {
	return func(info beat.Info, log *logp.Logger, states beater.StateStore) []v2.Plugin {
		// Filebeat asks for its inputs once in a process, when it begins to run.
		all := own(log, store, monitoring.Default.NewRegistry("journald"), controls)
		names := map[string]bool{}
		for _, p := range all {
			names[p.Name] = true
		}
		for _, p := range inputs.Init(info, log, states) {
			if !names[p.Name] {
				all = append(all, p)
			}
		}
		return all
	}
}

func own(log *logp.Logger, store *positions.Store, metrics *monitoring.Registry, controls bool) []v2.Plugin {
	return []v2.Plugin{
		journald.Plugin(log, store, journald.Options{HostID: hostid.Get(), Metrics: metrics, Controls: controls}),
		applog.Plugin(log, store, applog.Options{Controls: controls}),
	}
}

// ownOutput tells whether all events go through our output.logstash, which gives control records to nobody but Tally. The other
// outputs would take them for lines; beside such an output, below the fan-out, there are none.
func ownOutput(b *beat.Beat) bool {
	return b.Config != nil && b.Config.Output.Name() == "logstash"
}

// checkInputs refuses unknown types, and for our own inputs options that they refuse. Filebeat itself looks at its inputs
// only after it has started to run. The errors name keys as go-ucfg's do, so that places finds them.
func checkInputs(beatName string, cfg *common.Config) error {
	var root struct {
		Inputs []*common.Config `config:"inputs"`
	}
	if err := cfg.Unpack(&root); err != nil {
		return err
	}
	known := map[string]bool{}
	for _, p := range inputs.Init(beat.Info{}, logp.NewLogger("input"), nil) {
		known[p.Name] = true
	}
	// An input is only made here, not run, so none of them needs the registry.
	ours := map[string]v2.Plugin{}
	for _, p := range own(logp.NewLogger("input"), nil, nil, false) {
		ours[p.Name] = p
	}
	for i, in := range root.Inputs {
		if !in.Enabled() {
			continue
		}
		kind := struct {
			Type string `config:"type"`
		}{fbconfig.DefaultType}
		if err := in.Unpack(&kind); err != nil {
			return err
		}
		if p, ok := ours[kind.Type]; ok {
			if _, err := p.Manager.Create(in); err != nil {
				return fmt.Errorf("input %s accessing '%s.inputs.%d': %w", kind.Type, beatName, i, err)
			}
		} else if _, err := input.GetFactory(kind.Type); err != nil && !known[kind.Type] {
			return fmt.Errorf("unknown input type %q accessing '%s.inputs.%d.type'", kind.Type, beatName, i)
		}
	}
	return nil
}
