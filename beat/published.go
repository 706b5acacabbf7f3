package beat

import (
	"sync"
	"time"

	"github.com/elastic/beats/v7/libbeat/logp"
)

// quiet is the least time between two lines of the log that tell of published events.
const quiet = time.Second

// published logs how many events were acknowledged: the first at once, then at most one line in quiet.
type published struct {
	log  *logp.Logger
	name string

	mu    sync.Mutex
	n     int
	timer *time.Timer // runs while a line was logged less than quiet ago
}

// start begins to log; what was counted before is logged too.
func (p *published) start(log *logp.Logger, name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log, p.name = log, name
}

// add counts n acknowledged events. The pipeline calls it from several goroutines.
func (p *published) add(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n += n
	if p.timer == nil && p.log != nil {
		p.say()
		p.timer = time.AfterFunc(quiet, p.again)
	}
}

func (p *published) again() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer == nil { // stopped meanwhile
		return
	}
	if p.n == 0 {
		p.timer = nil
		return
	}
	p.say()
	p.timer = time.AfterFunc(quiet, p.again)
}

// stop logs what is left.
func (p *published) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	p.say()
}

func (p *published) say() {
	if p.n > 0 {
		p.log.Infow(p.name+" successfully published events", "event.count", p.n)
		p.n = 0
	}
}
