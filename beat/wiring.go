package beat

import (
	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/logp"
	"github.com/elastic/beats/v7/libbeat/paths"
	"github.com/elastic/beats/v7/libbeat/publisher/processing"

	plugin "github.com/tallylog/tally/beat/plugins"
	"github.com/tallylog/tally/inputs/applog"
	"github.com/tallylog/tally/inputs/status"
	"github.com/tallylog/tally/outputs/bundle"
	"github.com/tallylog/tally/outputs/fanout"
	"github.com/tallylog/tally/outputs/push"
	"github.com/tallylog/tally/plugins/host"
)

// wiring is what the beater shares with the parts that libbeat makes before it.
type wiring struct {
	running, stopping func() // called when the beat begins to run and to stop
	early             early  // signals before that
	single            bool   // something looks at every single event before the output gets it; set while libbeat is configured
	merged            bool   // fields of the configuration go into every event; set then, too
	acked             *published
	board             *status.Board   // what the running inputs know
	config            string          // fingerprint of the configuration
	plugins           *plugin.Plugins // nil without any
	nodes             func() []string // of the cluster; nil where nobody can tell
}

// processing is libbeat's own, but for what journald needs none of (see normalizing), and notes on its way what of the configuration bundles could not pass unseen.
func (w *wiring) processing() processing.SupportFactory {
	next := processing.MakeDefaultBeatSupport(false)
	return func(info beat.Info, log *logp.Logger, cfg *common.Config) (processing.Supporter, error) {
		w.config = fingerprint(cfg)
		w.single = !bundle.Passes(cfg) || cfg.HasField("timeseries") || log.IsDebug()
		w.merged = cfg.HasField("fields")
		if q, err := cfg.Child("queue", -1); err == nil {
			for _, kind := range q.GetFields() {
				w.single = w.single || kind != "mem"
			}
		}
		var err error
		if w.plugins, cfg, err = plugin.Cut(cfg, host.Options{Log: plugin.Log(log.Named("plugin")), Host: info.Beat + " " + info.Version}); err != nil {
			return nil, err
		}
		if w.plugins != nil {
			plugin.Allow() // libbeat loads its filter of system calls later
		}
		s, err := next(info, log, cfg)
		return normalizing{s}, err
	}
}

// ownOptions are what our inputs may do, as the outputs and the processors behind them allow it.
type ownOptions struct {
	board    *status.Board
	controls bool // publish control records
	bundles  bool // publish many lines as one event
	shared   bool // publish events that have maps in common
	// applog may go on where Filebeat's registry at this path ends. It puts what it needs for a moment into scratch.
	registry, scratch string
}

// applog are the options of those for applog.
func (o ownOptions) applog() applog.Options {
	return applog.Options{Controls: o.controls, Bundles: o.bundles, Board: o.board, Registry: o.registry, Scratch: o.scratch}
}

// options looks at the configuration. Control records and bundles are understood by our output.logstash, which gives control
// records to nobody but Tally, and by our fan-out, which keeps both from its other children; output.tally takes control records. Any other output would take
// control records for lines. Bundles must also meet no processor that looks at single lines, and no queue but ours.
func (t *tallybeat) options(b *beat.Beat) (o ownOptions) {
	o.board = t.wiring.board
	o.registry, o.scratch = registryPath(t.config), paths.Resolve(paths.Data, "")
	if b.Config == nil {
		return o
	}
	kind := b.Config.Output.Name()
	o.controls = kind == "logstash" || kind == fanout.Name || kind == push.Name
	o.bundles = o.controls && kind != push.Name && !t.wiring.single
	o.shared = o.bundles && !t.wiring.merged
	return o
}
