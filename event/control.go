package event

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/tallylog/tally/ledger"
)

// ControlKind says what a control record tells.
type ControlKind string

// The kinds of control records.
const (
	ControlLost     ControlKind = "lost"     // the range will never come
	ControlSkipped  ControlKind = "skipped"  // the range was read and deliberately not shipped
	ControlComplete ControlKind = "complete" // the source has ended at Range.To
	ControlStatus   ControlKind = "status"   // how the agent is
)

// Control is what an agent tells of a source in place of a line: @metadata.tally with a key "control". Everything in it was
// checked by Decode.
type Control struct {
	Kind   ControlKind
	Source string
	// Range of lost and skipped; To 0 means, of a loss, that its end is not known. Of complete, To is the source's end.
	Range ledger.Range
	// Reason of a loss, one of Reasons; where the client gave another it is ReasonMissing, and Detail has its text.
	Reason, Detail string
	// Name is what people know the source by; may be empty.
	Name string
	// Status is the JSON object of a status.
	Status string
}

// ReasonMissing is the reason of a loss of which nothing is known.
const ReasonMissing = "missing"

var reasons = []string{"vacuumed", "truncated", "removed", "rate_limited", "too_long", "corrupt", "rejected", ReasonMissing}

// Reasons are the reasons that a loss may have.
func Reasons() []string { return slices.Clone(reasons) }

// Bounds of the texts of a control record, in bytes. A longer reason or name is cut; a longer status is refused.
const (
	maxDetail = 200
	maxTitle  = 4096
	maxStatus = 8192
)

// ErrControl is wrapped by the error for a control record that cannot be right. There is no line in it to keep.
var ErrControl = errors.New("not a valid control record")

// control reads @metadata.tally of a control record.
func control(v *fastjson.Value) (*Control, error) {
	c := &Control{
		Kind: ControlKind(v.GetStringBytes("control")), Source: string(v.GetStringBytes("source")),
		Name: clip(v.GetStringBytes("name"), maxTitle),
	}
	if err := c.read(v); err != nil {
		return nil, fmt.Errorf("@metadata.tally: %w: %w", ErrControl, err)
	}
	return c, nil
}

func (c *Control) read(v *fastjson.Value) error {
	from, err := offset(v, "from")
	if err != nil {
		return err
	}
	to, err := offset(v, "to")
	if err != nil {
		return err
	}
	c.Range = ledger.Range{From: from, To: to}
	need := ledger.Position{Source: c.Source, From: from, To: to}
	switch c.Kind {
	case ControlLost:
		c.Reason = string(v.GetStringBytes("reason"))
		if !slices.Contains(reasons, c.Reason) {
			c.Reason, c.Detail = ReasonMissing, clip([]byte(c.Reason), maxDetail)
		}
		if to == 0 {
			need.To = from + 1
		}
	case ControlSkipped:
	case ControlComplete:
		need.From, need.To = to, to+1
	case ControlStatus:
		c.Range = ledger.Range{}
		need.From, need.To = 0, 1
		s := v.Get("status")
		if s == nil || s.Type() != fastjson.TypeObject {
			return errors.New("status is no JSON object")
		}
		if c.Status = string(s.MarshalTo(nil)); len(c.Status) > maxStatus {
			return fmt.Errorf("the status has %d bytes, at most %d are allowed", len(c.Status), maxStatus)
		}
	default:
		return fmt.Errorf("the kind %.40q is not known", c.Kind)
	}
	return need.Validate()
}

// offset reads a position; null and a missing one are 0, which stands for an end that is not known.
func offset(v *fastjson.Value, key string) (int64, error) {
	f := v.Get(key)
	if f == nil || f.Type() == fastjson.TypeNull {
		return 0, nil
	}
	n, err := f.Int64()
	if err != nil || n < 0 || n >= ledger.MaxOffset {
		return 0, fmt.Errorf("%s is no position", key)
	}
	return n, nil
}

// clip makes a text of at most n bytes of valid UTF-8.
func clip(b []byte, n int) string {
	return strings.ToValidUTF8(string(b[:min(n, len(b))]), "")
}
