package limit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/admit"
	"github.com/tallylog/tally/server/answer"
	"github.com/tallylog/tally/server/auth"
	"github.com/tallylog/tally/server/record"
)

// sink admits everything, or fails.
type sink struct{ err error }

func (s *sink) Admit(_ context.Context, b *record.Batch) (admit.Result, error) {
	n := len(b.Events)
	b.Events = nil // it is the admitter's own now
	return admit.Result{Accepted: n}, s.err
}

// clock is moved by hand.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }
func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func options(c *clock) Options {
	return Options{
		Admit: &sink{}, Default: Rates{EventsPerSecond: 100}, Log: slog.New(slog.DiscardHandler), Now: c.now,
		Tenants: map[string]Rates{"t1": {BytesPerSecond: 1000}, "t2": {BytesPerDay: 5000}, "t3": {}},
		Name:    func(n uint32) string { return fmt.Sprint("t", n) },
	}
}

func noon() *clock { return &clock{at: time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)} }

// send admits n events of 10 bytes.
func send(t *testing.T, l *Limiter, tenant uint32, n int) {
	t.Helper()
	b := &record.Batch{Tenant: tenant}
	for range n {
		b.Events = append(b.Events, event.Event{Fields: []event.Field{{Name: "message", Value: "abc"}}})
	}
	if res, err := l.Admit(t.Context(), b); err != nil || res.Accepted != n {
		t.Fatal(res, err)
	}
}

// after is what Ready says: 0 for come in.
func after(l *Limiter, tenant uint32) int {
	err := l.Ready(tenant)
	var e *answer.Error
	if err == nil {
		return 0
	}
	if !errors.As(err, &e) || e.Status != 429 || e.RetryAfter < 1 {
		panic(err)
	}
	return e.RetryAfter
}

func TestRates(t *testing.T) {
	c := noon()
	l := New(options(c))
	f := func(tenant uint32, want int) {
		t.Helper()
		if got := after(l, tenant); got != want {
			t.Errorf("tenant %d at %v: come again in %d s, want %d", tenant, c.at, got, want)
		}
	}
	// A batch passes while anything is left, and all of it is a debt that is paid off.
	send(t, l, 0, 99)
	f(0, 0)
	send(t, l, 0, 501)
	f(0, 6) // 500 in debt at 100 a second, and above 0 is wanted
	f(7, 0) // another tenant with the same default
	c.add(4 * time.Second)
	f(0, 2)
	c.add(1100 * time.Millisecond)
	f(0, 0)
	c.add(time.Hour) // what is not used is not saved up beyond a second's worth
	send(t, l, 0, 301)
	f(0, 3)

	send(t, l, 1, 250) // 2500 bytes at 1000 a second
	f(1, 2)

	send(t, l, 2, 499)
	f(2, 0)
	send(t, l, 2, 1)
	f(2, 11*3600-5) // until midnight; 1:00:05 has passed
	c.add(12 * time.Hour)
	f(2, 0)

	send(t, l, 3, 1_000_000) // no limits
	f(3, 0)
}

// TestFailuresAreFree: what was not admitted counts nothing.
func TestFailuresAreFree(t *testing.T) {
	o := options(noon())
	o.Admit = &sink{err: errors.New("full")}
	l := New(o)
	b := &record.Batch{Events: make([]event.Event, 1000)}
	if _, err := l.Admit(t.Context(), b); err == nil {
		t.Fatal("the error is lost")
	}
	if n := after(l, 0); n != 0 {
		t.Errorf("come again in %d s", n)
	}
}

// TestWait holds that over time nobody is above the rate, however many send at once.
func TestWait(t *testing.T) {
	o := options(nil)
	o.Now = time.Now
	o.Default.EventsPerSecond = 1000
	l := New(o)
	began := time.Now()
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			for range 6 {
				if err := l.Wait(t.Context(), 0); err != nil {
					t.Error(err)
				}
				send(t, l, 0, 50)
			}
		})
	}
	all.Wait()
	if err := l.Wait(t.Context(), 0); err != nil { // until the last debt is paid
		t.Error(err)
	}
	// 1500 events, of which one second's worth is free.
	if took := time.Since(began); took < 500*time.Millisecond {
		t.Errorf("1500 events took %v", took)
	}
	send(t, l, 0, 1_000_000)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- l.Wait(ctx, 0) }()
	for l.Report(0).Now.Waiting == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-ended; err != context.Canceled {
		t.Errorf("got %v", err)
	}
	if r := l.Report(0); r.Now.Waiting != 0 {
		t.Errorf("%+v", r)
	}
}

// TestRestart: the use of the day outlasts a restart, also of a tenant that has not sent since the one before; a broken file
// does not keep the server from starting.
func TestRestart(t *testing.T) {
	c := noon()
	o := options(c)
	o.File = filepath.Join(t.TempDir(), "limits.json")
	o.Tenants["t4"] = Rates{BytesPerDay: 100}
	l := New(o)
	send(t, l, 2, 500)
	send(t, l, 4, 9)
	for range 2 {
		if err := l.Save(); err != nil {
			t.Fatal(err)
		}
		l = New(o)
		send(t, l, 4, 1)
	}
	if after(l, 2) == 0 || after(l, 4) == 0 {
		t.Error("a restart gives the quota back")
	}
	c.add(24 * time.Hour)
	if l = New(o); after(l, 2) != 0 {
		t.Error("the quota of yesterday counts")
	}
	if err := os.WriteFile(o.File, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l = New(o); after(l, 2) != 0 {
		t.Error("a broken file is a limit")
	}
}

func TestReport(t *testing.T) {
	c := noon()
	l := New(options(c))
	send(t, l, 0, 50)
	c.add(time.Second)
	send(t, l, 0, 300)
	after(l, 0)
	ask := func(role auth.Role) (int, string) {
		p := auth.Principal{Role: role}
		w := httptest.NewRecorder()
		l.ServeHTTP(w, httptest.NewRequestWithContext(auth.NewContext(t.Context(), p), "GET", "/", nil))
		return w.Code, w.Body.String()
	}
	want := Report{"t0", Rates{EventsPerSecond: 100}, Use{EventsPerSecond: 5, BytesPerSecond: 50, BytesToday: 3500, RetryAfter: 3, Refused: 1}}
	for _, role := range []auth.Role{auth.RoleReader, auth.RolePush} {
		code, text := ask(role)
		var got Report
		if err := json.Unmarshal([]byte(text), &got); err != nil || code != 200 || got != want {
			t.Errorf("%s: %d %s (%v), want %+v", role, code, text, err, want)
		}
	}
	if code, _ := ask("none"); code != 403 {
		t.Errorf("without a role: %d", code)
	}
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(l)
	got, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, m := range got {
		fmt.Fprintln(&text, m.GetName(), m.GetMetric()[0].GetLabel()[0].GetValue(), m.GetMetric()[0].GetCounter().GetValue()+m.GetMetric()[0].GetGauge().GetValue())
	}
	if want := "tally_tenant_bytes_today t0 3500\ntally_tenant_bytes_total t0 3500\ntally_tenant_events_total t0 350\ntally_tenant_refused_total t0 1\ntally_tenant_waiting_connections t0 0\n"; text.String() != want {
		t.Errorf("metrics\n%s\nwant\n%s", text.String(), want)
	}
}
