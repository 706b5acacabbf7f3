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

// goneAfter is how long all files of a journal must have been gone before it counts as ended: journald renames files, and a
// directory may be unmounted for a moment.
const goneAfter = 5 * time.Second

// tellEnd says that a journal has ended, once: its files are gone, all that they held was read, and is acknowledged. If the journal
// comes back after all, reading goes on.
func (s *source) tellEnd(now time.Time) {
	if len(s.listing.wanted[s.id]) > 0 || s.next == 0 || !s.account.settled(s.next) {
		s.goneSince = time.Time{}
		return
	}
	if s.goneSince.IsZero() {
		s.goneSince = now
	}
	if !s.controls || s.ended || now.Sub(s.goneSince) < goneAfter {
		return
	}
	s.ended = true
	if s.skipped > 0 {
		s.tell(Range{Source: s.account.source, From: int64(s.next - s.skipped), To: int64(s.next), Reason: Skipped})
	}
	s.publishControl(common.MapStr{"control": "complete", "source": s.account.source, "to": int64(s.next)})
}
