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
	skips   int // and of these
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
	n := &news{source: s, skipped: r.ToldSkip, tooLong: len(r.TooLong) - s.unsureCuts, skips: len(r.Skips) - s.unsureSkips, ended: r.Told}
	n.records = n.tooLong + n.skips
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
	for _, k := range r.Skips[:n.skips] {
		add(common.MapStr{"control": "skipped", "from": k[0], "to": k[1]})
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
		s.rec.TooLong, s.rec.Skips = behind(s.rec.TooLong, n.tooLong), behind(s.rec.Skips, n.skips)
		in.room.Broadcast()
		in.save(s)
		in.ask(s) // what came meanwhile
	}
}

// behind are the ranges behind the first n.
func behind(ranges [][2]int64, n int) [][2]int64 {
	if n >= len(ranges) {
		return nil
	}
	return slices.Clone(ranges[n:])
}

// maxOwed bounds what a record has of ranges that are to be told; reading waits beyond it.
const maxOwed = 1000

// owe notes what is to be told of an event that is about to be published: what is cut off, which is lost if the event is shipped, and
// what was skipped if a processor drops it. That must be known before, so that no record in the registry has an offset behind the event
// and does not know of it.
func (in *Input) owe(s *source, cuts, skips [][2]int64) {
	if len(cuts) == 0 && len(skips) == 0 {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.teller == nil {
		return
	}
	r := &s.rec
	for len(r.TooLong)+len(r.Skips) >= maxOwed && !in.stopped {
		in.ask(s)
		in.room.Wait()
	}
	r.TooLong, r.Skips = append(slices.Clip(r.TooLong), cuts...), append(slices.Clip(r.Skips), skips...)
	s.unsureCuts, s.unsureSkips = len(cuts), len(skips)
}

// sure has it told, now that it is known whether the event was shipped.
func (in *Input) sure(s *source, shipped bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if s.unsureCuts == 0 && s.unsureSkips == 0 {
		return
	}
	r := &s.rec
	if shipped {
		r.Skips = slices.Clip(r.Skips[:len(r.Skips)-s.unsureSkips])
	} else {
		r.TooLong = slices.Clip(r.TooLong[:len(r.TooLong)-s.unsureCuts])
	}
	s.unsureCuts, s.unsureSkips = 0, 0
	in.save(s) // it may have been saved while it was not sure
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
