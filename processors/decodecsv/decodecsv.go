package decodecsv

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// FailureTag marks an event whose text is no CSV.
const FailureTag = "_csvparsefailure"

// Processor splits texts.
type Processor struct {
	c     config
	comma rune
	pairs []pair
}

type pair struct{ from, to string }

type config struct {
	Fields           strictyaml.Node  `yaml:"fields"`
	Columns          strictyaml.Texts `yaml:"columns"`
	Separator        string           `yaml:"separator"`
	IgnoreMissing    bool             `yaml:"ignore_missing"`
	TrimLeadingSpace bool             `yaml:"trim_leading_space"`
	OverwriteKeys    bool             `yaml:"overwrite_keys"`
	FailOnError      bool             `yaml:"fail_on_error"`
}

var _ processor.Processor = (*Processor)(nil)

// New reads the configuration; README.md says what each key means.
func New(n strictyaml.Node) (*Processor, error) {
	c := config{Separator: ",", FailOnError: true}
	if err := n.Decode(&c); err != nil {
		return nil, err
	}
	p := &Processor{c: c}
	var size int
	if p.comma, size = utf8.DecodeRuneInString(c.Separator); size != len(c.Separator) || strings.ContainsAny(c.Separator, "\"\r\n\uFFFD") || size == 0 {
		return nil, n.At("separator").Errorf("%q is not one character, or one that cannot separate", c.Separator)
	}
	err := c.Fields.Pairs(func(from string, _, to strictyaml.Node) error {
		p.pairs = append(p.pairs, pair{from, to.Value()})
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(p.pairs) == 0 {
		p.pairs = []pair{{event.Message, "csv"}}
		if len(c.Columns) > 0 {
			p.pairs[0].to = ""
		}
	}
	for i := range p.pairs {
		if len(c.Columns) == 0 && p.pairs[i].to == "" {
			p.pairs[i].to = p.pairs[i].from
		}
		names := c.Columns
		if len(names) == 0 {
			names = strictyaml.Texts{""}
		}
		for _, name := range names {
			if err := processor.CheckName(p.pairs[i].name(name)); err != nil && name != "" || name == "" && len(c.Columns) == 0 && err != nil {
				return nil, n.At("fields").Place(err)
			}
			if p.pairs[i].name(name) == event.Timestamp {
				return nil, n.At("columns").Errorf("the processor timestamp sets @timestamp")
			}
		}
	}
	return p, nil
}

// name is that of a column, or of the whole where column is "".
func (p pair) name(column string) string {
	switch {
	case column == "":
		return p.to
	case p.to == "":
		return column
	}
	return p.to + "." + column
}

// Process implements processor.Processor.
func (p *Processor) Process(e *event.Event) (bool, error) {
	return true, processor.All(e, len(p.pairs), func(i int) error {
		if err := p.split(e, p.pairs[i]); err != nil && p.c.FailOnError {
			return processor.Fail(FailureTag, "csv: %w", err)
		}
		return nil
	})
}

func (p *Processor) split(e *event.Event, q pair) error {
	f, ok := processor.Get(e, q.from)
	if !ok {
		if p.c.IgnoreMissing {
			return nil
		}
		return fmt.Errorf("field %q is missing", q.from)
	}
	if f.Kind != event.String {
		return fmt.Errorf("field %q is no text", q.from)
	}
	r := csv.NewReader(strings.NewReader(f.Value))
	r.Comma, r.TrimLeadingSpace, r.LazyQuotes = p.comma, p.c.TrimLeadingSpace, true
	record, err := r.Read()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the text is empty")
		}
		return err
	}
	if len(p.c.Columns) == 0 {
		if q.from != q.to && !p.c.OverwriteKeys && processor.Has(e, q.to) {
			return fmt.Errorf("field %q is there already", q.to)
		}
		e.PutField(processor.List(q.to, record))
		return nil
	}
	if len(record) != len(p.c.Columns) {
		return fmt.Errorf("the text has %d values, %d are wanted", len(record), len(p.c.Columns))
	}
	for _, c := range p.c.Columns {
		if c != "" && !p.c.OverwriteKeys && processor.Has(e, q.name(c)) {
			return fmt.Errorf("field %q is there already", q.name(c))
		}
	}
	for i, c := range p.c.Columns {
		if c != "" {
			e.Put(q.name(c), record[i])
		}
	}
	return nil
}

func (p *Processor) String() string { return fmt.Sprintf("decode_csv_fields=%v", p.pairs) }
