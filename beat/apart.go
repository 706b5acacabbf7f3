package beat

import (
	"reflect"
	"sync"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common/acker"
)

// apart keeps the acknowledgements of Filebeat's inputs apart. Filebeat gives all its inputs one ACKer, that lists their events in the
// order in which they were published and takes as many off as are acknowledged. The queue may have them in another order, so that the
// registry notes a line of one input when that of another was acknowledged, and an agent that ends in between loses it.
//
// What must hold: that ACKer hears of events, together with their acknowledgement, one client at a time, and of those of a client in the order in
// which they were published.
type apart struct {
	beat.PipelineConnector
	turn sync.Mutex // held while the shared ACKer is told
}

// Connect implements beat.PipelineConnector.
func (p *apart) Connect() (beat.Client, error) { return p.ConnectWith(beat.ClientConfig{}) }

// ConnectWith implements beat.PipelineConnector.
func (p *apart) ConnectWith(cfg beat.ClientConfig) (beat.Client, error) {
	shared, own := split(cfg.ACKHandler)
	if shared != nil {
		// What an input itself listens with is told within Publish as ever; some go by that.
		cfg.ACKHandler = acker.Combine(append([]beat.ACKer{&told{shared: shared, turn: &p.turn}}, own...)...)
	}
	client, err := p.PipelineConnector.ConnectWith(cfg)
	if err != nil {
		return nil, err
	}
	return newFinished(client), nil
}

// split takes apart what pipetool.WithACKer has combined: the ACKer of all inputs comes first, then those of this one.
func split(all beat.ACKer) (shared beat.ACKer, own []beat.ACKer) {
	list := reflect.ValueOf(all)
	if !list.IsValid() || list.Kind() != reflect.Slice || list.Len() == 0 {
		return all, nil
	}
	for i := range list.Len() {
		a, is := list.Index(i).Interface().(beat.ACKer)
		if !is {
			return all, nil
		}
		own = append(own, a)
	}
	return own[0], own[1:]
}

// told is what the shared ACKer has of one client.
type told struct {
	shared beat.ACKer
	turn   *sync.Mutex // taken before mu

	batch []note // what it is being told; guarded by turn

	mu    sync.Mutex
	notes []note // of the events that are not acknowledged, in order; the first was published
}

// note is what an ACKer wants to know of an event.
type note struct {
	private   any
	published bool
}

// AddEvent implements beat.ACKer.
func (a *told) AddEvent(e beat.Event, published bool) {
	n := note{e.Private, published}
	a.mu.Lock()
	if published || len(a.notes) > 0 {
		a.notes = append(a.notes, n)
		a.mu.Unlock()
		return
	}
	a.mu.Unlock()
	// There is nothing to wait for, but perhaps something that is just being told.
	a.turn.Lock()
	defer a.turn.Unlock()
	a.shared.AddEvent(beat.Event{Private: n.private}, false)
}

// ACKEvents implements beat.ACKer.
func (a *told) ACKEvents(n int) {
	a.turn.Lock()
	defer a.turn.Unlock()
	a.take(n)
	for _, n := range a.batch {
		a.shared.AddEvent(beat.Event{Private: n.private}, n.published)
	}
	a.shared.ACKEvents(n)
	clear(a.batch)
}

// take makes a batch of n published events and of what was dropped before the next one.
func (a *told) take(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	end := 0
	for end < len(a.notes) && (n > 0 || !a.notes[end].published) {
		if a.notes[end].published {
			n--
		}
		end++
	}
	a.batch = append(a.batch[:0], a.notes[:end]...)
	left := copy(a.notes, a.notes[end:])
	clear(a.notes[left:])
	a.notes = a.notes[:left]
}

// Close implements beat.ACKer.
func (a *told) Close() { a.shared.Close() }
