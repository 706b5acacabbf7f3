package fanout

import (
	"testing"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/logp"
	"github.com/elastic/beats/v7/libbeat/outputs"
	"github.com/elastic/beats/v7/libbeat/publisher"

	"github.com/tallylog/tally/outputs/bundle"
)

// Only a child that speaks to Tally gets bundles and control records; the others get lines. A batch that holds nothing for a child
// is done with it.
func TestUnderstood(t *testing.T) {
	control := publisher.Event{Content: beat.Event{Meta: common.MapStr{"tally": common.MapStr{"control": "lost"}}, Fields: common.MapStr{"message": "c"}}}
	lines := publisher.Event{Content: beat.Event{Fields: common.MapStr{"log": common.MapStr{}}, Private: &bundle.Bundle{Lines: []bundle.Line{{Message: "a"}, {Message: "b"}}}}}
	in := []publisher.Event{control, lines, control}
	for kind, want := range map[string]int{"logstash": 3, "tally": 4, "file": 1, "elasticsearch": 2, "kafka": 2} {
		c := newChild(kind, kind, groupOf(0), logp.NewLogger("test"))
		got := c.understood(in)
		if len(got) != want || bundle.Has(got) != (kind == "logstash" || kind == "file") {
			t.Errorf("%s gets %d events, want %d", kind, len(got), want)
		}
		p := &parent{batch: &ended{}, observer: outputs.NewNilObserver()}
		p.left.Store(1)
		c.push(p, in[:1])
		if p.batch.(*ended).acked != (kind != "logstash" && kind != "tally") {
			t.Errorf("%s: a batch of a control record alone is done: %v", kind, p.batch.(*ended).acked)
		}
	}
}

type ended struct {
	publisher.Batch
	acked bool
}

func (e *ended) ACK() { e.acked = true }
