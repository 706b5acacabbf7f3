package k8smeta

import (
	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// The fields in which names and paths are looked for, in this order, where the configuration names no others: those of Filebeat's
// journald input, of Journalbeat 5.x and 7.x, of Filebeat's file inputs, and of Filebeat 5.x.
var (
	DefaultNames = []string{"container.name", "journal.container_name", "docker.container.name"}
	DefaultPaths = []string{"log.file.path", "source"}
	DefaultHosts = []string{"host.hostname", "journal.hostname", "host.name"}
)

// Processor gives an event the fields that follow from its container's name or its file's path alone.
type Processor struct {
	names, paths []string
	owner        bool
}

var _ processor.Processor = (*Processor)(nil)

// New reads the configuration.
func New(n strictyaml.Node) (*Processor, error) {
	c := struct {
		Names strictyaml.Texts `yaml:"container_name_fields"`
		Paths strictyaml.Texts `yaml:"path_fields"`
		Owner bool             `yaml:"guess_owner"`
	}{DefaultNames, DefaultPaths, true}
	if err := n.Decode(&c); err != nil {
		return nil, err
	}
	return &Processor{c.Names, c.Paths, c.Owner}, nil
}

// Process implements processor.Processor.
func (p *Processor) Process(e *event.Event) (bool, error) {
	r, ok := p.find(e)
	if !ok {
		return true, nil
	}
	put := func(name, value string) {
		if !processor.Has(e, name) {
			e.Put(name, value)
		}
	}
	r.Each(put)
	if p.owner {
		Guess(r, p.host(e)).Each(put)
	}
	return true, nil
}

func (p *Processor) find(e *event.Event) (Ref, bool) {
	for _, name := range p.names {
		if v, ok := e.Get(name); ok {
			if r, ok := ParseContainerName(v); ok {
				return r, true
			}
		}
	}
	for _, name := range p.paths {
		if v, ok := e.Get(name); ok {
			if r, ok := ParsePath(v); ok {
				return r, true
			}
		}
	}
	return Ref{}, false
}

// host is the name of the machine that the line comes from.
func (p *Processor) host(e *event.Event) string {
	for _, name := range DefaultHosts {
		if v, ok := e.Get(name); ok {
			return v
		}
	}
	return ""
}

func (p *Processor) String() string { return "k8smeta" }
