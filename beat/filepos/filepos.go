package filepos

import (
	"sync"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"

	"github.com/tallylog/tally/outputs/bundle"
)

// Connector is a pipeline whose clients' events get positions.
type Connector struct {
	beat.PipelineConnector
	files *files
	join  bool
}

// New puts positions before a pipeline. host is the id of this machine (hostid.Get). join lets the lines of clients without processors of their own
// be joined on their way (bundle.Part), for a pipeline that knows this and has no other processors.
func New(to beat.PipelineConnector, host string, join bool) *Connector {
	return &Connector{to, &files{host: host, known: map[string]*knownFile{}}, join}
}

// Connect implements beat.PipelineConnector.
func (c *Connector) Connect() (beat.Client, error) { return c.ConnectWith(beat.ClientConfig{}) }

// ConnectWith implements beat.PipelineConnector.
func (c *Connector) ConnectWith(cfg beat.ClientConfig) (beat.Client, error) {
	own := cfg.Processing.Processor
	k := &client{files: c.files, join: c.join && (own == nil || len(own.All()) == 0) && cfg.Processing.DynamicFields == nil}
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
	join  bool

	mu      sync.Mutex // libbeat takes one event of a client at a time as well
	notes   notes
	part    bundle.Part // of the event that is being published
	dropped bool        // a processor dropped it
}

// Publish implements beat.Client.
func (c *client) Publish(e beat.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.notes.locate(&e)
	if !ok || len(e.Fields) == 0 { // without fields it only carries a state to the registry
		c.Client.Publish(e)
		return
	}
	f, skipped := c.files.position(at, &e)
	if f == nil {
		c.Client.Publish(e)
		return
	}
	sum := sum(at, &e)
	if c.join && partOf(&e, &c.part) {
		c.part.Source, c.part.From, c.part.To, c.part.Skipped, c.part.Sum = f.source, at.from, at.to, skipped, sum
		e.Fields, e.Private = nil, &c.part
	} else {
		if e.Meta == nil {
			e.Meta = common.MapStr{}
		}
		e.Meta["tally"] = common.MapStr{"source": f.source, "from": at.from, "to": at.to, "skipped": skipped, "sum": bundle.Hex(sum)}
	}
	c.dropped = false
	c.Client.Publish(e)
	if !c.dropped {
		c.files.shipped(f, at.to)
	}
}

// partOf makes an event that is a line of a file and nothing more a part of a bundle.
func partOf(e *beat.Event, p *bundle.Part) bool {
	log, _ := e.Fields["log"].(common.MapStr)
	of, _ := log["file"].(common.MapStr)
	message, ok := e.Fields["message"].(string)
	// What has more fields is left alone; the log's offset is there, as it was located.
	if !ok || len(log) != 2 || len(of) != 1 || len(e.Meta) > 0 || e.TimeSeries {
		return false
	}
	stream, _ := e.Fields["stream"].(string)
	fields := 2
	if stream != "" {
		fields++
	}
	if len(e.Fields) != fields {
		return false
	}
	path, ok := of["path"].(string)
	// The seconds that a number of nanoseconds can hold, with some to spare.
	if s := e.Timestamp.Unix(); !ok || s < 1 || s > 1<<33 {
		return false
	}
	p.Message, p.Path, p.Stream, p.Time, p.Origin = message, path, stream, e.Timestamp.UnixNano(), e.Private
	return true
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
	if part, is := e.Private.(*bundle.Part); is {
		e.Private = part.Origin
	}
	if !published {
		l.c.dropped = true // of any other event nobody asks
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
