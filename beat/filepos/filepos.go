package filepos

import (
	"sync"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
)

// Connector is a pipeline whose clients' events get positions.
type Connector struct {
	beat.PipelineConnector
	files *files
}

// New puts positions before a pipeline. host is the id of this machine (hostid.Get).
func New(to beat.PipelineConnector, host string) *Connector {
	return &Connector{to, &files{host: host, known: map[string]*knownFile{}}}
}

// Connect implements beat.PipelineConnector.
func (c *Connector) Connect() (beat.Client, error) { return c.ConnectWith(beat.ClientConfig{}) }

// ConnectWith implements beat.PipelineConnector.
func (c *Connector) ConnectWith(cfg beat.ClientConfig) (beat.Client, error) {
	k := &client{files: c.files}
	cfg.ACKHandler = &listener{cfg.ACKHandler, k}
	var err error
	if k.Client, err = c.PipelineConnector.ConnectWith(cfg); err != nil {
		return nil, err
	}
	return k, nil
}

// client is one input's, with a harvester for each file.
type client struct {
	beat.Client
	files *files

	mu      sync.Mutex // libbeat takes one event of a client at a time as well
	dropped bool       // a processor dropped the event that is being published
}

// Publish implements beat.Client.
func (c *client) Publish(e beat.Event) {
	at, ok := locate(&e)
	if !ok || len(e.Fields) == 0 { // without fields it only carries a state to the registry
		c.Client.Publish(e)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	f, pos := c.files.position(at, &e)
	if f == nil {
		c.Client.Publish(e)
		return
	}
	if e.Meta == nil {
		e.Meta = common.MapStr{}
	}
	e.Meta["tally"] = pos
	c.dropped = false
	c.Client.Publish(e)
	if !c.dropped {
		c.files.shipped(f, at.to)
	}
}

// PublishAll implements beat.Client.
func (c *client) PublishAll(events []beat.Event) {
	for _, e := range events {
		c.Publish(e)
	}
}

// listener hears whether the processors drop an event: libbeat calls AddEvent within Publish.
type listener struct {
	beat.ACKer // the input's own; may be nil
	c          *client
}

// AddEvent implements beat.ACKer.
func (l *listener) AddEvent(e beat.Event, published bool) {
	if !published {
		if _, ok := locate(&e); ok && len(e.Fields) > 0 {
			l.c.dropped = true
		}
	}
	if l.ACKer != nil {
		l.ACKer.AddEvent(e, published)
	}
}

// ACKEvents implements beat.ACKer.
func (l *listener) ACKEvents(n int) {
	if l.ACKer != nil {
		l.ACKer.ACKEvents(n)
	}
}

// Close implements beat.ACKer.
func (l *listener) Close() {
	if l.ACKer != nil {
		l.ACKer.Close()
	}
}
