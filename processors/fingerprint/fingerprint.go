package fingerprint

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// FailureTag marks an event that lacks a field, or has a list in one.
const FailureTag = "_fingerprintfailure"

// Processor hashes fields.
type Processor struct {
	c      config
	fields []string
	hash   func() hash.Hash
	encode func([]byte) string
}

type config struct {
	Fields        strictyaml.Texts `yaml:"fields,required"`
	TargetField   string           `yaml:"target_field"`
	Method        string           `yaml:"method"`
	Encoding      string           `yaml:"encoding"`
	IgnoreMissing bool             `yaml:"ignore_missing"`
}

var _ processor.Processor = (*Processor)(nil)

// New reads the configuration; README.md says what each key means.
func New(n strictyaml.Node) (*Processor, error) {
	p := &Processor{c: config{TargetField: "fingerprint", Method: "sha256", Encoding: "hex"}}
	if err := n.Decode(&p.c); err != nil {
		return nil, err
	}
	methods := map[string]func() hash.Hash{"md5": md5.New, "sha1": sha1.New, "sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New,
		"xxhash": func() hash.Hash { return xxhash.New() }}
	encodings := map[string]func([]byte) string{"hex": hex.EncodeToString, "base32": base32.StdEncoding.EncodeToString, "base64": base64.StdEncoding.EncodeToString}
	if p.hash = methods[p.c.Method]; p.hash == nil {
		return nil, n.At("method").Errorf("unknown method; %s", strictyaml.Known(p.c.Method, slices.Sorted(maps.Keys(methods))))
	}
	if p.encode = encodings[p.c.Encoding]; p.encode == nil {
		return nil, n.At("encoding").Errorf("unknown encoding; %s", strictyaml.Known(p.c.Encoding, slices.Sorted(maps.Keys(encodings))))
	}
	p.fields = slices.Compact(slices.Sorted(slices.Values(p.c.Fields)))
	if err := processor.CheckName(p.c.TargetField); err != nil || p.c.TargetField == event.Timestamp {
		return nil, n.At("target_field").Errorf("the field %q cannot hold a hash", p.c.TargetField)
	}
	return p, nil
}

// Process implements processor.Processor. The bytes hashed are |name|value for each field, in the order of the names, and a last |.
func (p *Processor) Process(e *event.Event) (bool, error) {
	h := p.hash()
	for _, name := range p.fields {
		f, ok := processor.Get(e, name)
		switch {
		case !ok && p.c.IgnoreMissing:
			continue
		case !ok:
			return true, processor.Missing(FailureTag, name)
		case f.Kind == event.JSON:
			return true, processor.Fail(FailureTag, "fingerprint: field %q is a list", name)
		}
		io.WriteString(h, "|")
		io.WriteString(h, name)
		io.WriteString(h, "|")
		io.WriteString(h, f.Value)
	}
	io.WriteString(h, "|")
	e.Put(p.c.TargetField, p.encode(h.Sum(nil)))
	return true, nil
}

func (p *Processor) String() string {
	return fmt.Sprintf("fingerprint=[method=%s, fields=%v]", p.c.Method, p.fields)
}
