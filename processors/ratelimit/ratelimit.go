package ratelimit

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// DroppedField tells, on the first event that passes again, how many of its key were taken away before it.
const DroppedField = "rate_limit.dropped"

// maxKeys bounds the buckets kept; where there are more, those that are full again are forgotten, and else all.
const maxKeys = 100_000

// Processor limits the rate by token buckets.
type Processor struct {
	c     config
	rate  float64 // tokens a second
	depth float64
	now   func() time.Time

	mu      sync.Mutex
	buckets map[string]*bucket
}

type bucket struct {
	tokens  float64
	at      time.Time
	dropped int64
}

type config struct {
	Limit     string           `yaml:"limit,required"`
	Fields    strictyaml.Texts `yaml:"fields"`
	Algorithm algorithm        `yaml:"algorithm"`
}

type algorithm struct {
	TokenBucket tokenBucket `yaml:"token_bucket"`
}

type tokenBucket struct {
	BurstMultiplier float64 `yaml:"burst_multiplier"`
}

var _ processor.Processor = (*Processor)(nil)

// New reads the configuration; README.md says what each key means.
func New(n strictyaml.Node) (*Processor, error) {
	p := &Processor{now: time.Now, buckets: map[string]*bucket{}}
	p.c.Algorithm.TokenBucket.BurstMultiplier = 1
	if err := n.Decode(&p.c); err != nil {
		return nil, err
	}
	value, unit, _ := strings.Cut(p.c.Limit, "/")
	x, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	per := map[string]float64{"s": 1, "m": 60, "h": 3600}[strings.TrimSpace(unit)]
	if err != nil || per == 0 || !(x > 0 && x < 1e12) {
		return nil, n.At("limit").Errorf("%q is no limit like 100/s, 5000/m, 10000/h", p.c.Limit)
	}
	if m := p.c.Algorithm.TokenBucket.BurstMultiplier; !(m >= 1 && m < 1e6) {
		return nil, n.At("algorithm").Errorf("token_bucket.burst_multiplier is 1 or more")
	}
	p.rate = x / per
	p.depth = max(1, x*p.c.Algorithm.TokenBucket.BurstMultiplier)
	return p, nil
}

// Process implements processor.Processor.
func (p *Processor) Process(e *event.Event) (bool, error) {
	var room [128]byte
	key := room[:0]
	for _, name := range p.c.Fields {
		f, _ := processor.Get(e, name)
		key = append(append(key, f.Value...), 0)
	}
	now := p.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.buckets[string(key)]
	if b == nil {
		if len(p.buckets) >= maxKeys {
			p.forget(now)
		}
		b = &bucket{tokens: p.depth, at: now}
		p.buckets[string(key)] = b
	}
	b.fill(p, now)
	if b.tokens < 1 {
		b.dropped++
		return false, nil
	}
	b.tokens--
	if b.dropped > 0 {
		e.PutField(processor.Integer(DroppedField, b.dropped))
		b.dropped = 0
	}
	return true, nil
}

func (b *bucket) fill(p *Processor, now time.Time) {
	b.tokens = math.Min(p.depth, b.tokens+p.rate*max(0, now.Sub(b.at).Seconds()))
	b.at = now
}

// forget makes room.
func (p *Processor) forget(now time.Time) {
	for k, b := range p.buckets {
		if b.fill(p, now); b.tokens >= p.depth && b.dropped == 0 {
			delete(p.buckets, k)
		}
	}
	if len(p.buckets) >= maxKeys {
		clear(p.buckets)
	}
}

func (p *Processor) String() string {
	return fmt.Sprintf("rate_limit=[limit=%s, fields=%v]", p.c.Limit, []string(p.c.Fields))
}
