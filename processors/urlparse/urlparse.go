package urlparse

import (
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// FailureTag marks an event whose text is no URL.
const FailureTag = "_urlparsefailure"

// Processor takes URLs apart.
type Processor struct{ c config }

type config struct {
	Field         string `yaml:"field"`
	TargetPrefix  string `yaml:"target_prefix"`
	IgnoreMissing bool   `yaml:"ignore_missing"`
	IgnoreFailure bool   `yaml:"ignore_failure"`
}

var _ processor.Processor = (*Processor)(nil)

// New reads the configuration; README.md says what each key means.
func New(n strictyaml.Node) (*Processor, error) {
	p := &Processor{config{Field: "url.original", TargetPrefix: "url"}}
	if err := n.Decode(&p.c); err != nil {
		return nil, err
	}
	return p, n.At("target_prefix").Place(processor.CheckName(p.c.TargetPrefix))
}

// Process implements processor.Processor.
func (p *Processor) Process(e *event.Event) (bool, error) {
	f, ok := processor.Get(e, p.c.Field)
	if !ok {
		if p.c.IgnoreMissing || p.c.IgnoreFailure {
			return true, nil
		}
		return true, processor.Missing(FailureTag, p.c.Field)
	}
	u, err := url.Parse(f.Value)
	if err != nil || f.Kind != event.String || f.Value == "" || u.Scheme == "" && !strings.HasPrefix(f.Value, "/") {
		if p.c.IgnoreFailure {
			return true, nil
		}
		return true, processor.Fail(FailureTag, "urlparse: %.60q is neither a URL nor a path", f.Value)
	}
	put := func(name, value string) {
		if value != "" {
			e.Put(p.c.TargetPrefix+"."+name, strings.ToValidUTF8(value, "\uFFFD"))
		}
	}
	put("scheme", u.Scheme)
	put("domain", u.Hostname())
	if port, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		e.PutField(processor.Integer(p.c.TargetPrefix+".port", int64(port)))
	}
	put("path", u.Path)
	if ext := path.Ext(u.Path); len(ext) > 1 && len(ext) <= 10 {
		put("extension", ext[1:])
	}
	put("query", u.RawQuery)
	put("fragment", u.Fragment)
	put("username", u.User.Username())
	return true, nil
}

func (p *Processor) String() string { return fmt.Sprintf("urlparse=[field=%s]", p.c.Field) }
