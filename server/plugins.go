package server

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallylog/tally/plugins/host"
	"github.com/tallylog/tally/server/answer"
	"github.com/tallylog/tally/server/clean"
)

// draft is a host.Draft as the pipelines want it.
type draft struct{ *host.Draft }

func (d draft) Named() clean.Plugins { return draft{d.With()} }

// beginPlugins gives a new set of pipelines its plugins.
func (s *Server) beginPlugins() (clean.Plugins, error) {
	n := s.o.Config.Plugins
	if s.clean != nil && s.o.ReadPlugins != nil { // a reload
		var err error
		if n, err = s.o.ReadPlugins(); err != nil {
			return nil, err
		}
	}
	d, err := s.plugins.Draft(n)
	if err != nil {
		return nil, err
	}
	return draft{d}, nil
}

// listPlugins answers GET /api/v1/plugins: the plugins of the pipelines in force, what they do and what went wrong.
func (s *Server) listPlugins(w http.ResponseWriter, _ *http.Request) {
	answer.JSON(w, http.StatusOK, map[string]any{"plugins": s.plugins.List()})
}

// pluginCollector gives the figures of plugins.
type pluginCollector struct{ *host.Set }

var pluginFigures = []struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(*host.Status) float64
}{
	figure("up", "1 while the plugin runs.", prometheus.GaugeValue, func(p *host.Status) float64 {
		if p.State == host.Running {
			return 1
		}
		return 0
	}),
	figure("memory_bytes", "Resident memory of the plugin and its children.", prometheus.GaugeValue, func(p *host.Status) float64 { return float64(p.Memory) }),
	figure("events_total", "Events that went to the plugin.", prometheus.CounterValue, func(p *host.Status) float64 { return float64(p.Events) }),
	figure("failed_events_total", "Events on which the plugin failed; on_failure said what became of them.", prometheus.CounterValue, func(p *host.Status) float64 { return float64(p.Failed) }),
	figure("dropped_events_total", "Events that are gone by the plugin or by on_failure: drop.", prometheus.CounterValue, func(p *host.Status) float64 { return float64(p.Dropped) }),
	figure("made_events_total", "Events that the plugin made beside those that went in.", prometheus.CounterValue, func(p *host.Status) float64 { return float64(p.Made) }),
	figure("restarts_total", "Times that the plugin was started again.", prometheus.CounterValue, func(p *host.Status) float64 { return float64(p.Restarts) }),
	figure("batches_total", "Batches that went to the plugin.", prometheus.CounterValue, func(p *host.Status) float64 { return float64(p.Batches) }),
	figure("failed_batches_total", "Batches that failed as a whole.", prometheus.CounterValue, func(p *host.Status) float64 { return float64(p.FailedBatches) }),
	figure("seconds_total", "Seconds in calls to the plugin; with the batches, the latency.", prometheus.CounterValue, func(p *host.Status) float64 { return p.Seconds }),
}

type pluginFigure = struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(*host.Status) float64
}

func figure(name, help string, kind prometheus.ValueType, of func(*host.Status) float64) pluginFigure {
	return pluginFigure{prometheus.NewDesc("tally_plugin_"+name, help, []string{"plugin"}, nil), kind, of}
}

var pluginEnds = prometheus.NewDesc("tally_plugin_ends_total", "Times that the plugin's process ended, or did not start, by reason.", []string{"plugin", "reason"}, nil)

// Describe implements prometheus.Collector.
func (pluginCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, f := range pluginFigures {
		ch <- f.desc
	}
	ch <- pluginEnds
}

// Collect implements prometheus.Collector. Plugins of one name, with different options, are added up.
func (c pluginCollector) Collect(ch chan<- prometheus.Metric) {
	ends := map[[2]string]float64{}
	sums := map[string][]float64{}
	for _, p := range c.List() {
		if sums[p.Name] == nil {
			sums[p.Name] = make([]float64, len(pluginFigures))
		}
		for i, f := range pluginFigures {
			sums[p.Name][i] += f.of(&p)
		}
		for reason, n := range p.Ends {
			ends[[2]string{p.Name, reason}] += float64(n)
		}
	}
	for name, values := range sums {
		for i, f := range pluginFigures {
			ch <- prometheus.MustNewConstMetric(f.desc, f.kind, values[i], name)
		}
	}
	for k, n := range ends {
		ch <- prometheus.MustNewConstMetric(pluginEnds, prometheus.CounterValue, n, k[0], k[1])
	}
}
