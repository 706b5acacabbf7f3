package beat

import (
	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/processors"
	"github.com/elastic/beats/v7/libbeat/publisher/processing"

	"github.com/tallylog/tally/inputs/journald"
	"github.com/tallylog/tally/outputs/bundle"
)

// normalizing does what libbeat does first with each event, to copy it with values of few types only, for the clients that need it.
// Our journald input makes such events itself, and the copy was a sixth of the cost of an entry.
//
// A line that is to be joined to its neighbours (bundle.Part) comes with nothing but its text, so what libbeat makes of its event is the same for all
// lines of a file, and is made once.
type normalizing struct{ processing.Supporter }

// Create makes the processors of a client.
func (s normalizing) Create(cfg beat.ProcessingConfig, drop bool) (beat.Processor, error) {
	p, err := s.Supporter.Create(cfg, drop)
	if _, is := cfg.Private.(journald.Normal); is || err != nil {
		return p, err
	}
	return &normalized{Processor: p, converter: common.NewGenericEventConverter(cfg.KeepNull)}, nil
}

type normalized struct {
	beat.Processor
	converter *common.GenericEventConverter
	shared    map[file]*beat.Event // what lines have in common; libbeat runs one event of a client at a time
}

// file is what the shared fields of lines are made of.
type file struct{ path, stream string }

// maxShared bounds the files of a client whose lines' fields are kept.
const maxShared = 256

// Run normalizes an event and hands it on. One without fields goes no further, as in libbeat.
func (n *normalized) Run(event *beat.Event) (*beat.Event, error) {
	if part, is := event.Private.(*bundle.Part); is {
		return n.part(event, part)
	}
	return n.whole(event)
}

func (n *normalized) whole(event *beat.Event) (*beat.Event, error) {
	if len(event.Fields) == 0 {
		return nil, nil
	}
	if isLine(event.Fields) {
		return n.Processor.Run(event)
	}
	if event.Fields = n.converter.Convert(event.Fields); event.Fields == nil {
		return nil, nil
	}
	return n.Processor.Run(event)
}

// isLine tells whether an event is what Filebeat's inputs make of a line of a file, which are of such types already, and in maps of its own.
func isLine(fields common.MapStr) bool {
	log, _ := fields["log"].(common.MapStr)
	of, _ := log["file"].(common.MapStr)
	_, message := fields["message"].(string)
	_, offset := log["offset"].(int64)
	_, path := of["path"].(string)
	return message && offset && path && len(fields) == 2 && len(log) == 2 && len(of) == 1
}

// part gives a line what it shares with others.
func (n *normalized) part(event *beat.Event, part *bundle.Part) (*beat.Event, error) {
	key := file{part.Path, part.Stream}
	shared := n.shared[key]
	if shared == nil {
		var err error
		if shared, err = n.whole(part.Template()); shared == nil || err != nil {
			return nil, err
		}
		if n.shared == nil || len(n.shared) >= maxShared {
			n.shared = map[file]*beat.Event{}
		}
		n.shared[key] = shared
	}
	part.Shared = shared
	event.Fields, event.Meta = shared.Fields, shared.Meta
	return event, nil
}

// Close closes the client's processors.
func (n *normalized) Close() error { return processors.Close(n.Processor) }
