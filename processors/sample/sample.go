package sample

import (
	"fmt"
	"math"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// RateField tells, on an event that passed, the share that passes, so that counts can be scaled.
const RateField = "sample.rate"

// Processor lets a share pass.
type Processor struct {
	c     config
	below uint64
	count atomic.Uint64
}

type config struct {
	Rate float64          `yaml:"rate,required"`
	Key  strictyaml.Texts `yaml:"key"`
}

var _ processor.Processor = (*Processor)(nil)

// New reads the configuration; README.md says what each key means.
func New(n strictyaml.Node) (*Processor, error) {
	p := &Processor{}
	if err := n.Decode(&p.c); err != nil {
		return nil, err
	}
	if !(p.c.Rate > 0 && p.c.Rate <= 1) {
		return nil, n.At("rate").Errorf("a share above 0 and up to 1 is wanted")
	}
	p.below = math.MaxUint64
	if p.c.Rate < 1 {
		p.below = uint64(p.c.Rate * math.Exp2(64))
	}
	return p, nil
}

// Process implements processor.Processor. The choice depends on the key, or else on the position, so that an event that comes
// again has the same fate; only events without a position are counted out.
func (p *Processor) Process(e *event.Event) (bool, error) {
	h := xxhash.New()
	switch {
	case len(p.c.Key) > 0:
		for _, name := range p.c.Key {
			f, _ := processor.Get(e, name)
			_, _ = h.WriteString(f.Value)
			_, _ = h.WriteString("\x00")
		}
	case e.HasPosition():
		_, _ = h.WriteString(e.Position.ID())
	case e.Identity != "":
		_, _ = h.WriteString(e.Identity)
	default:
		fmt.Fprint(h, p.count.Add(1))
	}
	if h.Sum64() > p.below {
		return false, nil
	}
	if p.c.Rate < 1 {
		e.PutField(processor.Float(RateField, p.c.Rate))
	}
	return true, nil
}

func (p *Processor) String() string {
	return fmt.Sprintf("sample=[rate=%v, key=%v]", p.c.Rate, []string(p.c.Key))
}
