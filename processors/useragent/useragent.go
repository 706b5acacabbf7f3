package useragent

import (
	"fmt"
	"strings"
	"sync"

	"github.com/ua-parser/uap-go/uaparser"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// FailureTag marks an event that lacks the header.
const FailureTag = "_useragentfailure"

// maxText bounds what is looked at of a header, in bytes: several hundred expressions run over it, and senders choose it.
const maxText = 1024

// cached is how many different headers are remembered. A new one costs half a millisecond or more, one that is known less than a
// microsecond; most traffic has few.
const cached = 10_000

// parser has its expressions compiled at the first use of the processor, as that takes a good tenth of a second; it is one for
// all, as it takes some megabytes.
var parser = sync.OnceValues(func() (*uaparser.Parser, error) {
	return uaparser.New(uaparser.WithCacheSize(cached))
})

// Processor takes User-Agent headers apart.
type Processor struct {
	c      config
	parser *uaparser.Parser
}

type config struct {
	Field         string `yaml:"field"`
	TargetField   string `yaml:"target_field"`
	IgnoreMissing bool   `yaml:"ignore_missing"`
}

var _ processor.Processor = (*Processor)(nil)

// New reads the configuration; README.md says what each key means.
func New(n strictyaml.Node) (*Processor, error) {
	p := &Processor{c: config{Field: "user_agent.original", TargetField: "user_agent"}}
	if err := n.Decode(&p.c); err != nil {
		return nil, err
	}
	if err := n.At("target_field").Place(processor.CheckName(p.c.TargetField)); err != nil {
		return nil, err
	}
	var err error
	p.parser, err = parser()
	return p, n.Place(err)
}

// Process implements processor.Processor. A header that no pattern knows gives the name Other, as with Elasticsearch.
func (p *Processor) Process(e *event.Event) (bool, error) {
	f, ok := processor.Get(e, p.c.Field)
	if !ok || f.Value == "" || f.Value == "-" { // a dash is how access logs write that there was none
		if p.c.IgnoreMissing {
			return true, nil
		}
		return true, processor.Missing(FailureTag, p.c.Field)
	}
	text := f.Value
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "")
	}
	agent, system, device := p.parser.ParseUserAgent(text), p.parser.ParseOs(text), p.parser.ParseDevice(text)
	put := func(name, value string) {
		if value != "" {
			e.Put(p.c.TargetField+"."+name, value)
		}
	}
	put("original", f.Value)
	put("name", agent.Family)
	put("version", version(agent.Major, agent.Minor, agent.Patch))
	if system.Family != "Other" {
		v := version(system.Major, system.Minor, system.Patch)
		put("os.name", system.Family)
		put("os.version", v)
		put("os.full", strings.TrimSpace(system.Family+" "+v))
	}
	put("device.name", device.Family)
	return true, nil
}

// version joins the parts of a version as far as there are any.
func version(parts ...string) string {
	for i, p := range parts {
		if p == "" {
			parts = parts[:i]
			break
		}
	}
	return strings.Join(parts, ".")
}

func (p *Processor) String() string { return fmt.Sprintf("user_agent=[field=%s]", p.c.Field) }
