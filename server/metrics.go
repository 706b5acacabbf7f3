package server

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tallylog/tally/server/api"
)

// metrics gives the state of the rooms in the Prometheus text format. The figures are kept by the rooms themselves and read
// when asked.
func (s *Server) metrics() http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	counter := func(name, help string, f func() int64) {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(f()) }))
	}
	gauge := func(name, help string, f func() int64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(f()) }))
	}
	a := &s.admit.Stats
	counter("tally_admitted_events_total", "Events made durable.", a.Events.Load)
	counter("tally_admitted_batches_total", "Batches made durable.", a.Batches.Load)
	counter("tally_duplicate_events_total", "Events refused because they are stored already.", a.Duplicates.Load)
	counter("tally_conflict_events_total", "Events stored though their range was known: cloned machines, lost registries.", a.Conflicts.Load)
	counter("tally_failed_batches_total", "Batches that were not acknowledged.", a.Failed.Load)
	counter("tally_rejected_events_total", "Events that became dead letters.", a.Rejected.Load)
	gauge("tally_waiting_batches", "Batches that wait for space.", a.Waiting.Load)

	gauge("tally_feeder_lag_records", "Records of the buffer that the store does not have yet.", func() int64 { n, _ := s.admit.Lag(); return int64(n) })
	gauge("tally_feeder_failing", "1 while the store refuses records.", func() int64 {
		if _, err := s.admit.Lag(); err != nil {
			return 1
		}
		return 0
	})
	if s.keeper != nil {
		counter("tally_retention_removed_partitions_total", "Days of a class removed because of their age or size.", s.keeper.Count.Load)
		counter("tally_retention_removed_rows_total", "Their events.", s.keeper.Rows.Load)
	}
	gauge("tally_buffer_bytes", "Bytes of the write-ahead log on disk.", s.wal.Bytes)
	counter("tally_buffer_fsyncs_total", "Times the write-ahead log was synced.", func() int64 { return int64(s.wal.Stats().Fsyncs) })
	gauge("tally_buffer_lost_records", "Records found corrupt at start.", func() int64 {
		n := int64(0)
		for _, l := range s.wal.Lost() {
			n += int64(l.Last - l.First + 1)
		}
		return n
	})
	gauge("tally_intake_held_bytes", "Bytes of batches that are being read or admitted.", s.budget.Used)
	gauge("tally_live_tails", "Live tails that are open.", func() int64 { return int64(s.hub.Watchers()) })

	for name, stats := range map[string]func() api.GateStats{"searches": s.api.Searches, "tails": s.api.Tails} {
		gauge("tally_"+name+"_running", "Admitted to run at once.", func() int64 { return int64(stats().Running) })
		gauge("tally_"+name+"_waiting", "Waiting in line for a place.", func() int64 { return int64(stats().Waiting) })
		counter("tally_"+name+"_refused_total", "Refused because too many ran or waited.", func() int64 { return stats().Refused })
	}
	r.MustRegister(s.limits)

	counter("tally_ledger_unaccounted_events_total", "Events stored without an account, as their tenant has too many sources.", a.Unaccounted.Load)
	r.MustRegister(&ledgerCollector{s})

	l := &s.lj.Stats
	counter("tally_lumberjack_connections_total", "Lumberjack connections accepted.", l.Connections.Load)
	gauge("tally_lumberjack_open_connections", "Lumberjack connections open now.", l.Open.Load)
	counter("tally_lumberjack_windows_total", "Windows acknowledged.", l.Windows.Load)
	counter("tally_lumberjack_events_total", "Events in acknowledged windows.", l.Events.Load)
	counter("tally_lumberjack_unparsable_total", "Events that were no JSON object; their text is kept.", l.Unparsable.Load)
	counter("tally_lumberjack_bad_controls_total", "Control records that were not valid.", l.BadControls.Load)
	counter("tally_lumberjack_broken_total", "Connections closed without acknowledgement.", l.Broken.Load)
	r.MustRegister(&usageCollector{s}, s.clean, s.letters, pluginCollector{s.plugins})
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{})
}

// usageCollector reads the store's usage once for all its figures.
type usageCollector struct{ s *Server }

var (
	rowsDesc    = prometheus.NewDesc("tally_store_rows", "Events stored.", nil, nil)
	bytesDesc   = prometheus.NewDesc("tally_store_bytes", "Bytes of the store on disk.", nil, nil)
	upDesc      = prometheus.NewDesc("tally_store_up", "1 while the store answers.", nil, nil)
	rawDesc     = prometheus.NewDesc("tally_store_raw_bytes", "Bytes of names and values before compression.", nil, nil)
	waitDesc    = prometheus.NewDesc("tally_store_read_only", "1 while the store waits: for disk space, or for what /readyz says.", nil, nil)
	droppedDesc = prometheus.NewDesc("tally_store_dropped_rows_total", "Events the store could never take.", []string{"reason"}, nil)
)

func (c *usageCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{upDesc, rowsDesc, bytesDesc, rawDesc, waitDesc, droppedDesc} {
		ch <- d
	}
}

func (c *usageCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	u, err := c.s.admit.Store().Usage(ctx)
	if err != nil {
		c.s.o.Log.Debug("the store does not tell its usage", "error", err)
		ch <- prometheus.MustNewConstMetric(upDesc, prometheus.GaugeValue, 0)
		return
	}
	ch <- prometheus.MustNewConstMetric(upDesc, prometheus.GaugeValue, 1)
	waiting := 0.0
	if u.ReadOnly {
		waiting = 1
	}
	ch <- prometheus.MustNewConstMetric(rowsDesc, prometheus.GaugeValue, float64(u.Rows))
	ch <- prometheus.MustNewConstMetric(bytesDesc, prometheus.GaugeValue, float64(u.Bytes))
	ch <- prometheus.MustNewConstMetric(rawDesc, prometheus.GaugeValue, float64(u.RawBytes))
	ch <- prometheus.MustNewConstMetric(waitDesc, prometheus.GaugeValue, waiting)
	for reason, n := range u.Dropped {
		ch <- prometheus.MustNewConstMetric(droppedDesc, prometheus.CounterValue, float64(n), reason)
	}
}

// ledgerCollector reads the sums over all accounts once for all their figures.
type ledgerCollector struct{ s *Server }

var (
	sourcesDesc  = prometheus.NewDesc("tally_ledger_sources", "Sources that have an account.", nil, nil)
	gapDesc      = prometheus.NewDesc("tally_ledger_gap_units", "Units (bytes, entries, lines) that are missing without a reason.", nil, nil)
	gapLinesDesc = prometheus.NewDesc("tally_ledger_gap_lines", "Lines that are missing without a reason, at least: a hole in the bytes of a file counts as one.", nil, nil)
	lostDesc     = prometheus.NewDesc("tally_ledger_lost_units", "Units that will never arrive; a loss whose end is not known counts as one.", []string{"reason"}, nil)
	inFlightDesc = prometheus.NewDesc("tally_ledger_in_flight", "Units in holes so young that they may still arrive.", nil, nil)
)

func (c *ledgerCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{sourcesDesc, gapDesc, gapLinesDesc, lostDesc, inFlightDesc} {
		ch <- d
	}
}

func (c *ledgerCollector) Collect(ch chan<- prometheus.Metric) {
	t := c.s.admit.Totals(time.Now())
	ch <- prometheus.MustNewConstMetric(sourcesDesc, prometheus.GaugeValue, float64(t.Sources))
	ch <- prometheus.MustNewConstMetric(gapDesc, prometheus.GaugeValue, float64(t.Missing))
	ch <- prometheus.MustNewConstMetric(gapLinesDesc, prometheus.GaugeValue, float64(t.MissingLines))
	ch <- prometheus.MustNewConstMetric(inFlightDesc, prometheus.GaugeValue, float64(t.InFlight))
	for reason, n := range t.Lost {
		ch <- prometheus.MustNewConstMetric(lostDesc, prometheus.GaugeValue, float64(n), reason)
	}
}
