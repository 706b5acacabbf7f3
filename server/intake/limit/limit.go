package limit

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/tallylog/tally/server/admit"
	"github.com/tallylog/tally/server/answer"
	"github.com/tallylog/tally/server/intake"
	"github.com/tallylog/tally/server/record"
)

// Rates of one tenant; 0 means no bound.
type Rates struct {
	EventsPerSecond int64 `json:"events_per_second"`
	BytesPerSecond  int64 `json:"bytes_per_second"`
	BytesPerDay     int64 `json:"bytes_per_day"`
}

// Options for New.
type Options struct {
	Admit intake.Admitter
	// Default holds for every tenant that Tenants does not name.
	Default Rates
	Tenants map[string]Rates
	// Name is the name of a tenant; it is asked once for each.
	Name func(tenant uint32) string
	// File keeps the use of the day; empty for none.
	File string
	Log  *slog.Logger
	Now  func() time.Time // nil for time.Now
}

// Limiter is the account of all tenants. Its methods may be called from many goroutines at once.
type Limiter struct {
	o       Options
	mu      sync.Mutex
	tenants map[uint32]*account
	kept    map[string]int64 // bytes of keptDay by the name of the tenant, from the file
	keptDay string
	dirty   bool
	saving  sync.Mutex // one writer of the file at a time
}

var _ intake.Admitter = (*Limiter)(nil)

// account is one tenant's.
type account struct {
	name          string
	rates         Rates
	events, bytes bucket
	day           string // UTC
	today         int64  // bytes
	// since start
	allEvents, allBytes, refused int64
	waiting                      int
	recent                       recent
}

// New makes a Limiter and reads the use of the day. A file that cannot be read is logged, and the day begins anew.
func New(o Options) *Limiter {
	if o.Now == nil {
		o.Now = time.Now
	}
	l := &Limiter{o: o, tenants: map[uint32]*account{}}
	if err := l.load(); err != nil {
		o.Log.Error("the bytes of the day are counted from 0 again", "error", err)
	}
	return l
}

// account needs l.mu; it brings the account of a tenant up to now.
func (l *Limiter) account(tenant uint32, now time.Time) *account {
	a := l.tenants[tenant]
	if a == nil {
		a = &account{name: l.o.Name(tenant)}
		r, ok := l.o.Tenants[a.name]
		if !ok {
			r = l.o.Default
		}
		a.rates, a.events, a.bytes = r, newBucket(r.EventsPerSecond, now), newBucket(r.BytesPerSecond, now)
		a.day, a.today = l.keptDay, l.kept[a.name]
		l.tenants[tenant] = a
	}
	if day := dayOf(now); day != a.day {
		a.day, a.today = day, 0
	}
	a.events.fill(now)
	a.bytes.fill(now)
	return a
}

func dayOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// Admit admits a batch and counts it.
func (l *Limiter) Admit(ctx context.Context, b *record.Batch) (admit.Result, error) {
	tenant, events, bytes := b.Tenant, int64(len(b.Events)), size(b) // Admit takes the batch over
	res, err := l.o.Admit.Admit(ctx, b)
	if err != nil {
		return res, err
	}
	now := l.o.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.account(tenant, now)
	a.events.level -= float64(events)
	a.bytes.level -= float64(bytes)
	a.today += bytes
	a.allEvents += events
	a.allBytes += bytes
	a.recent.add(now, events, bytes)
	l.dirty = true
	return res, nil
}

func size(b *record.Batch) (n int64) {
	for i := range b.Events {
		for _, f := range b.Events[i].Fields {
			n += int64(len(f.Name) + len(f.Value))
		}
	}
	return n
}

// wait is how long it takes until the tenant may send again, 0 for at once, and which limit holds it off.
func (a *account) wait(now time.Time) (d time.Duration, why string) {
	if d = a.events.wait(); d > 0 {
		why = fmt.Sprintf("%d events a second", a.rates.EventsPerSecond)
	}
	if b := a.bytes.wait(); b > d {
		d, why = b, fmt.Sprintf("%d bytes a second", a.rates.BytesPerSecond)
	}
	if a.rates.BytesPerDay > 0 && a.today >= a.rates.BytesPerDay {
		if b := now.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour).Sub(now); b > d {
			d, why = b, fmt.Sprintf("%d bytes a day", a.rates.BytesPerDay)
		}
	}
	return d, why
}

// Ready refuses with an *answer.Error, a 429 that says when to come again, while the tenant is over a limit.
func (l *Limiter) Ready(tenant uint32) error {
	now := l.o.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.account(tenant, now)
	d, why := a.wait(now)
	if d == 0 {
		return nil
	}
	a.refused++
	return &answer.Error{Status: http.StatusTooManyRequests, Code: "limit", RetryAfter: seconds(d),
		Message: fmt.Sprintf("the tenant %s has used up its %s; send the same request again in %d s", a.name, why, seconds(d))}
}

func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

// Wait returns when the tenant may send, or with the error of ctx when that is done before.
func (l *Limiter) Wait(ctx context.Context, tenant uint32) error {
	waits := false
	look := func() time.Duration {
		now := l.o.Now()
		l.mu.Lock()
		defer l.mu.Unlock()
		a := l.account(tenant, now)
		d, _ := a.wait(now)
		if d > 0 && !waits {
			waits = true
			a.waiting++
		} else if d == 0 && waits {
			a.waiting--
		}
		return d
	}
	for {
		d := look()
		if d == 0 {
			return nil
		}
		t := time.NewTimer(d)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			l.mu.Lock()
			defer l.mu.Unlock()
			l.tenants[tenant].waiting--
			return ctx.Err()
		}
	}
}
