package limit

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallylog/tally/server/answer"
	"github.com/tallylog/tally/server/auth"
)

// Report is the answer of GET /api/v1/limits.
type Report struct {
	Tenant string `json:"tenant"`
	Limits Rates  `json:"limits"` // 0 for no bound
	Now    Use    `json:"now"`
}

// Use of a tenant. The rates are means over the last ten seconds, the day is the one of UTC.
type Use struct {
	EventsPerSecond float64 `json:"events_per_second"`
	BytesPerSecond  float64 `json:"bytes_per_second"`
	BytesToday      int64   `json:"bytes_today"`
	// RetryAfter is in how many seconds a request will not be refused any more; 0 for at once.
	RetryAfter int `json:"retry_after"`
	// Refused requests since the server started, and Lumberjack connections that wait now.
	Refused int64 `json:"refused"`
	Waiting int   `json:"waiting"`
}

// Report of a tenant.
func (l *Limiter) Report(tenant uint32) Report {
	now := l.o.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.account(tenant, now)
	d, _ := a.wait(now)
	r := Report{Tenant: a.name, Limits: a.rates, Now: Use{BytesToday: a.today, RetryAfter: seconds(d), Refused: a.refused, Waiting: a.waiting}}
	r.Now.EventsPerSecond, r.Now.BytesPerSecond = a.recent.rates(now)
	return r
}

// ServeHTTP answers with the Report of the tenant of the principal in the request's context.
func (l *Limiter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p, ok := auth.FromContext(r.Context())
	if !ok || !p.Allows(auth.Read) && !p.Allows(auth.Push) {
		answer.Fail(w, answer.Errorf(http.StatusForbidden, "forbidden", "these credentials may neither read nor push"))
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	answer.JSON(w, http.StatusOK, l.Report(p.TenantID))
}

// columns are the metrics; each has the label tenant. A tenant appears once it has sent or asked something.
var columns = []struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(*account) float64
}{
	{desc("events_total", "Events admitted, by tenant, duplicates included."), prometheus.CounterValue, func(a *account) float64 { return float64(a.allEvents) }},
	{desc("bytes_total", "Bytes of names and values admitted, by tenant."), prometheus.CounterValue, func(a *account) float64 { return float64(a.allBytes) }},
	{desc("bytes_today", "Bytes that count against the quota of the day, by tenant."), prometheus.GaugeValue, func(a *account) float64 { return float64(a.today) }},
	{desc("refused_total", "Requests refused for a limit, by tenant."), prometheus.CounterValue, func(a *account) float64 { return float64(a.refused) }},
	{desc("waiting_connections", "Lumberjack connections that wait for a limit, by tenant."), prometheus.GaugeValue, func(a *account) float64 { return float64(a.waiting) }},
}

func desc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("tally_tenant_"+name, help, []string{"tenant"}, nil)
}

var _ prometheus.Collector = (*Limiter)(nil)

// Describe names the metrics.
func (l *Limiter) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range columns {
		ch <- c.desc
	}
}

// Collect gives them.
func (l *Limiter) Collect(ch chan<- prometheus.Metric) {
	now := l.o.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for tenant := range l.tenants {
		a := l.account(tenant, now)
		for _, c := range columns {
			ch <- prometheus.MustNewConstMetric(c.desc, c.kind, c.of(a), a.name)
		}
	}
}
