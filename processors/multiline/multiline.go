package multiline

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// Processor joins lines.
type Processor struct {
	c  config
	re *regexp.Regexp
}

type config struct {
	Field    string           `yaml:"field"`
	Pattern  string           `yaml:"pattern"`
	Negate   bool             `yaml:"negate"`
	Match    string           `yaml:"match"`
	Preset   string           `yaml:"preset"`
	MaxLines int              `yaml:"max_lines"`
	MaxBytes int              `yaml:"max_bytes"`
	By       strictyaml.Texts `yaml:"by"`
}

var _ processor.Batch = (*Processor)(nil)

// New reads the configuration; README.md says what each key means.
func New(n strictyaml.Node) (*Processor, error) {
	p := &Processor{c: config{Field: event.Message, Match: "after", MaxLines: 500, MaxBytes: 1 << 20, By: strictyaml.Texts{"log.file.path", "container.id", "host.name"}}}
	if err := n.Decode(&p.c); err != nil {
		return nil, err
	}
	c := &p.c
	switch {
	case (c.Pattern == "") == (c.Preset == ""):
		return nil, n.Errorf("either pattern or preset is wanted")
	case c.Match != "after" && c.Match != "before":
		return nil, n.At("match").Errorf("%q is neither after nor before", c.Match)
	case c.MaxLines < 2 || c.MaxLines > 4000:
		return nil, n.At("max_lines").Errorf("a number from 2 to 4000 is wanted")
	case c.MaxBytes < 1000 || c.MaxBytes > event.MaxEvent:
		return nil, n.At("max_bytes").Errorf("a number from 1000 to %d is wanted", event.MaxEvent)
	case c.Preset != "" && (c.Negate || c.Match != "after"):
		return nil, n.At("preset").Errorf("negate and match go with pattern")
	}
	text := c.Pattern
	if c.Preset != "" {
		if text = stackTraces[c.Preset]; text == "" {
			return nil, n.At("preset").Errorf("%q is none of go, indent, java, python", c.Preset)
		}
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, n.At("pattern").Errorf("%v", err)
	}
	p.re = re
	return p, nil
}

// stackTraces are the lines that go on with the message before them.
var stackTraces = map[string]string{
	"indent": `^[ \t]`,
	"java":   `^\s+(?:at\s|\.{3} \d+ |Suppressed: )|^Caused by: |^\s*$`,
	"python": `^[ \t]|^Traceback \(most recent call last\):|^(?:During handling of|The above exception)|^[A-Za-z_][\w.]*(?:Error|Exception|Warning|Interrupt|Exit|Iteration)\b|^\s*$`,
	"go":     `^[ \t]|^goroutine \d+ \[|^\[signal |^created by |^[\w./*()\[\]-]+\(.*\)$|^exit status \d+$|^\s*$`,
}

// Process leaves a single event alone: there is nothing to join it with.
func (p *Processor) Process(*event.Event) (bool, error) { return true, nil }

// open is a message under way.
type open struct {
	head    *event.Event
	text    strings.Builder
	lines   int
	wanting bool // the next line belongs to it, whatever it looks like (match: before)
	sums    *xxhash.Digest
}

// ProcessBatch implements processor.Batch.
func (p *Processor) ProcessBatch(events []*event.Event, taken func(gone, into *event.Event)) []*event.Event {
	messages := map[string]*open{}
	var key []byte
	kept := events[:0]
	for _, e := range events {
		f, ok := processor.Get(e, p.c.Field)
		if !ok || f.Kind != event.String || e.Identity != "" {
			kept = append(kept, e)
			continue
		}
		key = p.source(key[:0], e)
		m := messages[string(key)]
		on := p.re.MatchString(f.Value) != p.c.Negate
		join := m != nil && (p.c.Match == "after" && on || m.wanting)
		if join && m.takes(p, e, f.Value) {
			m.wanting = p.c.Match == "before" && on
			taken(e, m.head)
			continue
		}
		if m != nil {
			m.finish(p)
		}
		kept = append(kept, e)
		m = &open{head: e, lines: 1, wanting: p.c.Match == "before" && on}
		m.text.WriteString(f.Value)
		messages[string(key)] = m
	}
	for _, m := range messages {
		m.finish(p)
	}
	return kept
}

// source tells the lines of one sequence from those of others.
func (p *Processor) source(key []byte, e *event.Event) []byte {
	if e.HasPosition() {
		return append(append(key, 1), e.Position.Source...)
	}
	for _, name := range p.c.By {
		f, _ := processor.Get(e, name)
		key = append(append(key, f.Value...), 0)
	}
	return key
}

// takes joins a line to the message, if it has room and the line comes after what it has.
func (m *open) takes(p *Processor, e *event.Event, text string) bool {
	if m.lines >= p.c.MaxLines || m.text.Len()+1+len(text) > p.c.MaxBytes {
		return false
	}
	if m.head.HasPosition() && !m.extend(&e.Position) {
		return false
	}
	m.lines++
	m.text.WriteByte('\n')
	m.text.WriteString(text)
	return true
}

// extend adds the range of a line to the position of the message. Ranges that do not touch are listed one by one.
func (m *open) extend(q *ledger.Position) bool {
	p := m.head.Position
	if q.From < p.To || q.Part != 0 || p.Part != 0 {
		return false
	}
	if len(p.Ranges) > 0 || len(q.Ranges) > 0 || q.From > p.To {
		ranges := p.Ranges
		if len(ranges) == 0 {
			ranges = []ledger.Range{{From: p.From, To: p.To}}
		} else if m.sums == nil {
			ranges = append([]ledger.Range(nil), ranges...) // the sender's own; ours may grow in place
		}
		q.Pieces(func(r ledger.Range) {
			if last := &ranges[len(ranges)-1]; last.To == r.From {
				last.To = r.To
			} else {
				ranges = append(ranges, r)
			}
		})
		p.Ranges = ranges
	}
	p.To = q.To
	if len(p.Ranges) == 1 {
		p.Ranges = nil
	}
	if p.Validate() != nil {
		return false
	}
	if m.sums == nil {
		m.sums = xxhash.New()
		_, _ = m.sums.WriteString(p.Sum)
	}
	_, _ = m.sums.WriteString("+" + q.Sum)
	m.head.Position = p
	return true
}

func (m *open) finish(p *Processor) {
	if m.lines == 1 {
		return
	}
	_ = processor.Put(m.head, event.Field{Name: p.c.Field, Value: m.text.String()})
	m.head.PutField(processor.Integer("log.lines", int64(m.lines)))
	if m.sums != nil && m.head.Position.Sum != "" {
		m.head.Position.Sum = strconv.FormatUint(m.sums.Sum64(), 16)
	}
}

func (p *Processor) String() string {
	return fmt.Sprintf("multiline=[pattern=%s, preset=%s, negate=%t, match=%s]", p.c.Pattern, p.c.Preset, p.c.Negate, p.c.Match)
}
