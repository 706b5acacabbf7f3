package journald

import (
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
)

// tell ships a range that no line will cover as control records, in order with the lines around it. They move no position; but
// since the pipeline acknowledges in order, no position behind the range is stored before they are acknowledged: after a crash
// the range is found, and told, again.
func (s *source) tell(r Range) {
	if r.Skipped > 0 {
		s.publishControl(common.MapStr{"control": "skipped", "source": r.Source, "from": r.From - r.Skipped, "to": r.From})
	}
	if r.Reason == Skipped {
		s.publishControl(common.MapStr{"control": "skipped", "source": r.Source, "from": r.From, "to": r.To})
		return
	}
	s.publishControl(common.MapStr{"control": "lost", "source": r.Source, "from": r.From, "to": r.To, "reason": r.Reason})
}

func (s *source) publishControl(tally common.MapStr) {
	m := &mark{account: s.account, control: true}
	s.account.publishing(m)
	s.client.Publish(beat.Event{
		Timestamp: time.Now(), Meta: common.MapStr{"tally": tally}, Private: m,
		Fields: common.MapStr{"message": "control record"}, // libbeat drops events without fields
	})
}
