package plugins

import (
	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"

	"github.com/tallylog/tally/ledger"
)

// tally is the position, or the control record, under @metadata.tally; nil where there is none.
func tally(e *beat.Event) common.MapStr {
	m, _ := e.Meta["tally"].(common.MapStr)
	return m
}

// control tells whether an event is a control record.
func control(e *beat.Event) bool { return tally(e)["control"] != nil }

func number(v any) int64 {
	switch n := v.(type) {
	case int64:
		return n
	case int:
		return int64(n)
	case uint64:
		return int64(n)
	}
	return 0
}

// position reads what the splitting of an event, and the account of what was dropped, need of it.
func position(e *beat.Event) (p ledger.Position) {
	if m := tally(e); m != nil && m["control"] == nil {
		p.Source, _ = m["source"].(string)
		p.From, p.To, p.Skipped, p.Part = number(m["from"]), number(m["to"]), number(m["skipped"]), number(m["part"])
	}
	return p
}

// setPart makes an event, whose metadata is its own, a part of its range. What was skipped before goes with the first.
func setPart(e *beat.Event, part int64) {
	if m := tally(e); m != nil {
		m["part"] = part
		m["skipped"] = int64(0)
	}
}

// setSkipped changes a copy of the metadata.
func setSkipped(e *beat.Event, n int64) {
	e.Meta = e.Meta.Clone()
	tally(e)["skipped"] = n
}

// skips are the ranges, by source, that were dropped and are not told yet: each ends where the next event of its source begins.
type skips map[string]ledger.Range

// dropped notes the range of an event that is gone.
func (s skips) dropped(p ledger.Position) {
	if p.Source == "" {
		return
	}
	from := p.From - p.Skipped
	if r, ok := s[p.Source]; ok && r.To == from {
		from = r.From
	}
	s[p.Source] = ledger.Range{From: from, To: p.To}
}

// before adds what was dropped right before an event to what it says was skipped.
func (s skips) before(e *beat.Event, p ledger.Position) {
	r, ok := s[p.Source]
	if !ok || p.Source == "" {
		return
	}
	if r.To == p.From-p.Skipped {
		setSkipped(e, p.From-r.From)
	}
}

// record is the control record that tells of a range.
func record(source string, r ledger.Range, at beat.Event) beat.Event {
	return beat.Event{Timestamp: at.Timestamp, Meta: common.MapStr{"tally": common.MapStr{"source": source, "control": "skipped", "from": r.From, "to": r.To}},
		Fields: common.MapStr{"message": "control record"}} // libbeat drops events without fields
}
