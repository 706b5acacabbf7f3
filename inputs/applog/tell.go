package applog

import (
	"slices"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/common/acker"
)

// tellAfter is how long what was skipped at the end of a file waits for a line behind it, which would tell it too.
const tellAfter = 5 * time.Second

// teller ships control records: what was skipped at the end of a source, what of it is lost, that it has ended. It has a client and
// a goroutine of its own, so that nobody else waits where the pipeline does. What was told is in the source's record once it is
// acknowledged; what is not there is told again after a restart.
type teller struct {
	in     *Input
	client beat.Client
	queue  []*source // guarded by Input.mu, as all of a source's telling
}

// news is what is told of a source at one time; it is the Private of each of its control records.
type news struct {
	source  *source
	records int // still to be acknowledged
	skipped int64
	tooLong int // so many of the record's
	ended   string
}

// Values of record.Told.
const (
	toldEnd  = "end"
	toldLost = "lost"
)

func (in *Input) newTeller(pipeline beat.PipelineConnector, close beat.CloseRef) (*teller, error) {
	t := &teller{in: in}
	client, err := pipeline.ConnectWith(beat.ClientConfig{
		PublishMode: beat.GuaranteedSend,
		CloseRef:    close,
		ACKHandler:  acker.EventPrivateReporter(func(_ int, data []interface{}) { t.acked(data) }),
	})
	t.client = client
	return t, err
}

// ask has told what is new of s. The caller holds Input.mu, or is the only one to know s.
func (in *Input) ask(s *source) {
	if t := in.teller; t != nil && !s.telling && s.news() != nil {
		s.telling = true
		t.queue = append(t.queue, s)
		in.room.Broadcast()
	}
}

// news is what has to be told of s, nil if nothing. The caller holds Input.mu.
func (s *source) news() *news {
	r := &s.rec
	n := &news{source: s, skipped: r.ToldSkip, tooLong: len(r.TooLong), records: len(r.TooLong), ended: r.Told}
	if len(s.turns) > 0 && n.records > 0 { // of the rest, not all is acknowledged
		return n
	} else if len(s.turns) > 0 {
		return nil
	}
	if r.Offset > r.Shipped && r.Offset > r.ToldSkip {
		n.skipped = r.Offset
		n.records++
	}
	switch {
	case r.Done && r.Told != toldEnd:
		n.ended = toldEnd
		n.records++
	case r.Lost != "" && r.Told != toldLost:
		n.ended = toldLost
		n.records++
	}
	if n.records == 0 {
		return nil
	}
	return n
}

// run tells until the input stops.
func (t *teller) run() {
	in := t.in
	in.mu.Lock()
	defer in.mu.Unlock()
	for {
		for len(t.queue) == 0 && !in.stopped {
			in.room.Wait()
		}
		if in.stopped {
			return
		}
		s := t.queue[0]
		t.queue = t.queue[1:]
		n := s.news()
		if n == nil {
			s.telling = false
			continue
		}
		list := n.events()
		in.mu.Unlock()
		for _, e := range list {
			t.client.Publish(e)
		}
		in.mu.Lock()
	}
}

// events are the control records. The caller holds Input.mu.
func (n *news) events() (list []beat.Event) {
	r := &n.source.rec
	add := func(tally common.MapStr) {
		tally["source"], tally["name"] = r.Source, r.Path
		list = append(list, beat.Event{
			Timestamp: time.Now(), Meta: common.MapStr{"tally": tally}, Private: n,
			Fields: common.MapStr{"message": "control record"}, // libbeat drops events without fields
		})
	}
	for _, l := range r.TooLong[:n.tooLong] {
		add(common.MapStr{"control": "lost", "from": l[0], "to": l[1], "reason": "too_long"})
	}
	if n.skipped != r.ToldSkip {
		add(common.MapStr{"control": "skipped", "from": max(r.Shipped, r.ToldSkip), "to": r.Offset})
	}
	if n.ended != r.Told {
		if n.ended == toldEnd {
			add(common.MapStr{"control": "complete", "to": r.Offset})
		} else {
			add(common.MapStr{"control": "lost", "from": r.Offset, "to": nil, "reason": r.Lost})
		}
	}
	return list
}

// acked notes what is told for good.
func (t *teller) acked(data []interface{}) {
	in := t.in
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, d := range data {
		n, ok := d.(*news)
		if !ok {
			continue
		}
		if n.records--; n.records > 0 {
			continue
		}
		s := n.source
		s.rec.ToldSkip, s.rec.Told, s.telling = n.skipped, n.ended, false
		if s.rec.TooLong = slices.Clone(s.rec.TooLong[min(n.tooLong, len(s.rec.TooLong)):]); len(s.rec.TooLong) == 0 {
			s.rec.TooLong = nil
		}
		in.room.Broadcast()
		in.save(s)
		in.ask(s) // what came meanwhile
	}
}

// maxTooLong bounds what a record has of lines that were cut; reading waits beyond it.
const maxTooLong = 1000

// tooLong notes that the rest [from, to) of a line is lost. It is called before the line is shipped, so that no record in the registry has
// an offset behind the line and does not know of its rest.
func (in *Input) tooLong(s *source, from, to int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.teller == nil {
		return
	}
	for len(s.rec.TooLong) >= maxTooLong && !in.stopped {
		in.ask(s)
		in.room.Wait()
	}
	s.rec.TooLong = append(s.rec.TooLong[:len(s.rec.TooLong):len(s.rec.TooLong)], [2]int64{from, to})
}

// cutShipped has it told, unless a processor dropped the line: then all of it was skipped.
func (in *Input) cutShipped(s *source, from, to int64, shipped bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if k := len(s.rec.TooLong) - 1; !shipped && k >= 0 && s.rec.TooLong[k] == [2]int64{from, to} {
		s.rec.TooLong = s.rec.TooLong[:k:k]
	}
	in.ask(s)
}

// tellIdle has told what was skipped at the ends of sources that rest.
func (d *discoverer) tellIdle(now time.Time) {
	d.in.mu.Lock()
	defer d.in.mu.Unlock()
	for s := range d.in.untold {
		rests := s.handle == nil || now.Sub(s.handle.active) >= tellAfter
		if rests && !s.busy && !s.foreign && s.partial.IsZero() {
			delete(d.in.untold, s)
			d.in.ask(s)
		}
	}
}
