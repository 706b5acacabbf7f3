package deadletter

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	lettersDesc = prometheus.NewDesc("tally_dead_letters", "Rejected events that wait for somebody, by the number of their tenant.", []string{"tenant"}, nil)
	bytesDesc   = prometheus.NewDesc("tally_dead_letter_bytes", "Their bytes.", []string{"tenant"}, nil)
	evictedDesc = prometheus.NewDesc("tally_dead_letters_evicted_total", "Rejected events that had to go for want of room.", []string{"tenant"}, nil)
)

var _ prometheus.Collector = (*Store)(nil)

// Describe implements prometheus.Collector.
func (s *Store) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{lettersDesc, bytesDesc, evictedDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s *Store) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	all, err := s.Totals(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(lettersDesc, err)
		return
	}
	for tenant, t := range all {
		name := strconv.FormatUint(uint64(tenant), 10)
		ch <- prometheus.MustNewConstMetric(lettersDesc, prometheus.GaugeValue, float64(t.Letters), name)
		ch <- prometheus.MustNewConstMetric(bytesDesc, prometheus.GaugeValue, float64(t.Bytes), name)
		ch <- prometheus.MustNewConstMetric(evictedDesc, prometheus.CounterValue, float64(t.Evicted), name)
	}
}
