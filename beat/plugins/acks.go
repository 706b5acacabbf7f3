package plugins

import (
	"sync"

	"github.com/elastic/beats/v7/libbeat/beat"
)

// acks stands between the pipeline and an input's ACKer. The input is told of its events as it publishes them; that they are
// acknowledged it hears when all that was made of them is, in their order.
type acks struct {
	input beat.ACKer

	told sync.Mutex // held while the input is told; never with mu, which its Publish needs

	mu        sync.Mutex
	pending   []*outstanding // the input's events, in order
	published []*outstanding // the pipeline's events, in order; nil for a control record of ours
	last      *outstanding   // of the event that is being published
	filtered  bool           // the processors behind have dropped it
}

// outstanding is an event of the input.
type outstanding struct {
	n       int  // events made of it that are not acknowledged yet
	settled bool // n will not grow
}

// begin tells the input's ACKer of an event that it has just published.
func (a *acks) begin(e beat.Event) *outstanding {
	o := &outstanding{}
	a.mu.Lock()
	a.pending = append(a.pending, o)
	a.mu.Unlock()
	if a.input != nil {
		a.input.AddEvent(e, true)
	}
	return o
}

// publish publishes e for o, which is nil for a control record, and tells whether the processors behind dropped it. An event that a
// closed pipeline did not take stays outstanding: it will be read again.
func (a *acks) publish(to beat.Client, e beat.Event, o *outstanding) (filtered bool) {
	a.mu.Lock()
	a.last, a.filtered = o, false
	if o != nil {
		o.n++
	}
	a.mu.Unlock()
	to.Publish(e)
	a.mu.Lock()
	defer a.mu.Unlock()
	if o != nil && a.filtered {
		o.n--
	}
	return a.filtered
}

// AddEvent implements beat.ACKer: the pipeline calls it within Publish.
func (a *acks) AddEvent(_ beat.Event, published bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.filtered = !published
	if published {
		a.published = append(a.published, a.last)
	}
}

// ACKEvents implements beat.ACKer.
func (a *acks) ACKEvents(n int) {
	a.told.Lock()
	defer a.told.Unlock()
	a.mu.Lock()
	n = min(n, len(a.published))
	for _, o := range a.published[:n] {
		if o != nil {
			o.n--
		}
	}
	a.published = a.published[n:]
	a.mu.Unlock()
	a.advance()
}

// settle says that nothing more will be made of the events.
func (a *acks) settle(list []*outstanding) {
	a.told.Lock()
	defer a.told.Unlock()
	a.mu.Lock()
	for _, o := range list {
		o.settled = true
	}
	a.mu.Unlock()
	a.advance()
}

// advance acknowledges what is done at the head. The caller holds told, so that the input hears of its events in order.
func (a *acks) advance() {
	a.mu.Lock()
	n := 0
	for n < len(a.pending) && a.pending[n].settled && a.pending[n].n == 0 {
		n++
	}
	a.pending = a.pending[n:]
	a.mu.Unlock()
	if n > 0 && a.input != nil {
		a.input.ACKEvents(n)
	}
}

// Close implements beat.ACKer.
func (a *acks) Close() {
	if a.input != nil {
		a.input.Close()
	}
}
