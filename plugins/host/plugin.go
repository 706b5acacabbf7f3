package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/plugins/proto"
)

// States of a plugin.
const (
	Starting = "starting"
	Running  = "running"
	Waiting  = "waiting" // for the end of a pause, after which it is started again
	Refused  = "refused" // not started again until the configuration changes
	Stopped  = "stopped"
)

// Pauses before a plugin is started again; they double. One that has run for healthy begins at the least again.
const (
	leastPause = 100 * time.Millisecond
	mostPause  = 15 * time.Second
	healthy    = 10 * time.Second
)

// instance is one plugin under supervision: its process, or the wait for the next one.
type instance struct {
	c    *Config
	host string
	log  *slog.Logger

	cancel context.CancelFunc
	ended  chan struct{}
	// first is closed when the first start has succeeded or failed; firstErr says how, if no second try would mend it.
	first    chan struct{}
	firstErr error

	mu      sync.Mutex
	state   string
	since   time.Time
	session *session      // while running
	changed chan struct{} // closed, and replaced, when the state changes
	lastErr string
	version string
	kills   map[string]int64 // by reason

	stats stats
}

type stats struct {
	events, dropped, made, failed, batches, failedBatches, starts, nanoseconds atomic.Int64
}

func newInstance(c Config, host string, log *slog.Logger) *instance {
	p := &instance{c: &c, host: host, log: log.With("plugin", c.Name), state: Stopped, since: time.Now(), changed: make(chan struct{}), kills: map[string]int64{}, first: make(chan struct{}), ended: make(chan struct{})}
	return p
}

// begin begins supervision.
func (p *instance) begin() {
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	go p.supervise(ctx)
}

// stop ends supervision and the process.
func (p *instance) stop() {
	if p.cancel != nil {
		p.cancel()
		<-p.ended
	}
}

// supervise keeps the plugin running until ctx is done.
func (p *instance) supervise(ctx context.Context) {
	defer close(p.ended)
	pause := leastPause
	firstDone := sync.OnceFunc(func() { close(p.first) })
	for ctx.Err() == nil {
		p.turn(Starting, nil, "")
		p.stats.starts.Add(1)
		s, err := start(ctx, p.c, p.host, p.log)
		if err != nil && ctx.Err() == nil {
			reason := "start"
			if errors.Is(err, errStarved) {
				reason = "memory"
			}
			p.fail(reason, err.Error())
			if errors.Is(err, errRefused) {
				p.log.Error("the plugin is refused", "error", err)
				p.turn(Refused, nil, err.Error())
				p.firstErr = err
				firstDone()
				<-ctx.Done()
				break
			}
			p.log.Error("the plugin did not start", "error", err, "again_in", pause)
		}
		if err == nil {
			p.log.Info("the plugin runs", "version", s.desc.Version, "pid", s.proc.pid())
			p.turn(Running, s, "")
			firstDone()
			began := time.Now()
			select {
			case <-s.proc.done:
				p.turn(Waiting, nil, "")
				s.close() // its last words tell why it has ended, and may not be read yet
				reason, text := s.proc.why()
				if said := s.proc.meter.last(); said != "" {
					text += "; it said: " + said
				}
				p.fail(reason, text)
				p.log.Error("the plugin has ended", "reason", reason, "error", text, "again_in", pause)
				if time.Since(began) > healthy {
					pause = leastPause
				}
			case <-ctx.Done():
				p.turn(Waiting, nil, "")
				s.close()
			}
		}
		firstDone()
		p.turn(Waiting, nil, "")
		select {
		case <-ctx.Done():
		case <-time.After(pause):
			pause = min(2*pause, mostPause)
		}
	}
	firstDone()
	p.turn(Stopped, nil, "")
}

// turn changes the state.
func (p *instance) turn(state string, s *session, err string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if state != p.state {
		p.since = time.Now()
	}
	p.state, p.session = state, s
	if s != nil {
		p.version = s.desc.Version
	}
	if err != "" {
		p.lastErr = err
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *instance) fail(reason, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kills[reason]++
	p.lastErr = proto.Short(reason + ": " + text)
}

// now gives the session, the state, and what is closed when they change.
func (p *instance) now() (*session, string, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.session, p.state, p.changed
}

// process takes one chunk through the plugin, once.
func (p *instance) process(ctx context.Context, events []*event.Event) ([]proto.Result, error) {
	s, state, _ := p.now()
	if s == nil {
		return nil, fmt.Errorf("the plugin %s is not running (%s)", p.c.Name, state)
	}
	began := time.Now()
	results, err := s.process(ctx, events)
	p.stats.nanoseconds.Add(int64(time.Since(began)))
	p.stats.batches.Add(1)
	if err != nil {
		p.stats.failedBatches.Add(1)
		p.mu.Lock()
		if p.session == s { // else it has ended, and why it did says more than what became of the batch
			p.lastErr = proto.Short("batch: " + err.Error())
		}
		p.mu.Unlock()
		return nil, fmt.Errorf("the plugin %s: %w", p.c.Name, err)
	}
	return results, nil
}

// processFor is process, tried again for as long as limit allows.
func (p *instance) processFor(limit time.Duration, events []*event.Event) ([]proto.Result, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	end := time.NewTimer(limit)
	defer end.Stop()
	for {
		_, _, changed := p.now()
		results, err := p.process(ctx, events)
		if err == nil || limit == 0 {
			return results, err
		}
		if _, state, _ := p.now(); state == Refused || state == Stopped {
			return nil, err
		}
		select {
		case <-end.C:
			return nil, err
		case <-changed:
		case <-time.After(time.Second): // an error of the batch alone changes no state
		case <-p.ended:
			return nil, err
		}
	}
}
