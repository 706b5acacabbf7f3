package clean

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallylog/tally/processors"
)

var (
	eventsDesc  = prometheus.NewDesc("tally_pipeline_events_total", "Events that a pipeline was chosen for.", []string{"pipeline"}, nil)
	droppedDesc = prometheus.NewDesc("tally_pipeline_dropped_total", "Events that a pipeline has dropped.", []string{"pipeline"}, nil)
	joinedDesc  = prometheus.NewDesc("tally_pipeline_joined_total", "Events that a pipeline has joined to others.", []string{"pipeline"}, nil)
	rejectDesc  = prometheus.NewDesc("tally_pipeline_rejected_total", "Events that a pipeline has put into the dead letters.", []string{"pipeline"}, nil)
	madeDesc    = prometheus.NewDesc("tally_pipeline_made_total", "Events that a pipeline has made beside those that came in.", []string{"pipeline"}, nil)
	failedDesc  = prometheus.NewDesc("tally_pipeline_failures", "Failures of the processors of a pipeline since it was loaded.", []string{"pipeline"}, nil)
	panicsDesc  = prometheus.NewDesc("tally_pipeline_panics", "Panics of the processors of a pipeline since it was loaded.", []string{"pipeline"}, nil)
)

var _ prometheus.Collector = (*Cleaner)(nil)

// Describe implements prometheus.Collector.
func (c *Cleaner) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{eventsDesc, droppedDesc, joinedDesc, madeDesc, rejectDesc, failedDesc, panicsDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *Cleaner) Collect(ch chan<- prometheus.Metric) {
	for _, q := range c.Pipelines().List {
		counter := func(d *prometheus.Desc, n *atomic.Int64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n.Load()), q.Name)
		}
		counter(eventsDesc, &q.Stats.Events)
		counter(droppedDesc, &q.Stats.Dropped)
		counter(joinedDesc, &q.Stats.Joined)
		counter(rejectDesc, &q.Stats.Rejected)
		counter(madeDesc, &q.Stats.Made)
		failures, panics := troubles(q.Chain)
		ch <- prometheus.MustNewConstMetric(failedDesc, prometheus.GaugeValue, float64(failures), q.Name)
		ch <- prometheus.MustNewConstMetric(panicsDesc, prometheus.GaugeValue, float64(panics), q.Name)
	}
}

// troubles adds up what went wrong in a chain and those below it.
func troubles(c *processors.Chain) (failures, panics int64) {
	if c == nil {
		return 0, 0
	}
	for _, s := range c.Steps {
		failures += s.Stats.Failures.Load()
		panics += s.Stats.Panics.Load()
		for _, below := range []*processors.Chain{s.Then, s.Else} {
			f, p := troubles(below)
			failures, panics = failures+f, panics+p
		}
	}
	f, p := troubles(c.OnFailure)
	return failures + f, panics + p
}
