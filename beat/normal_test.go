package beat

import (
	"fmt"
	"testing"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/logp"
	"github.com/elastic/beats/v7/libbeat/publisher/processing"

	"github.com/tallylog/tally/inputs/journald"
)

// TestNormalized: events of all inputs but journald come out of the processors as libbeat's own make them.
func TestNormalized(t *testing.T) {
	run := func(s processing.Supporter, private any, fields common.MapStr) string {
		t.Helper()
		p, err := s.Create(beat.ProcessingConfig{Private: private, Fields: common.MapStr{"input": common.MapStr{"type": "x"}}}, false)
		if err != nil {
			t.Fatal(err)
		}
		e, err := p.Run(&beat.Event{Fields: fields})
		if err != nil {
			t.Fatal(err)
		}
		if e == nil {
			return "dropped"
		}
		return fmt.Sprintf("%#v", e.Fields["some"])
	}
	cfg := common.NewConfig()
	theirs, err := processing.MakeDefaultBeatSupport(true)(beat.Info{}, logp.NewLogger("test"), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := (&wiring{}).processing()(beat.Info{}, logp.NewLogger("test"), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, some := range []any{nil, time.Unix(7, 0), map[string]string{"a": "b"}, uint64(1 << 63), []any{1, "x"}} {
		if got, want := run(ours, nil, common.MapStr{"some": some}), run(theirs, nil, common.MapStr{"some": some}); got != want {
			t.Errorf("%#v becomes %s, want %s", some, got, want)
		}
	}
	for _, log := range []any{common.MapStr{"offset": int64(1), "file": common.MapStr{"path": "/a"}}, common.MapStr{"offset": 1, "file": common.MapStr{"path": "/a"}},
		common.MapStr{"offset": int64(1), "file": common.MapStr{"path": nil}}, map[string]string{"a": "b"}} {
		line := func() common.MapStr { return common.MapStr{"message": "x", "log": log} }
		if got, want := runOf(t, ours, line()), runOf(t, theirs, line()); got != want {
			t.Errorf("a line with %#v becomes %s, want %s", log, got, want)
		}
	}
	if got := run(ours, nil, common.MapStr{}); got != "dropped" {
		t.Errorf("an event without fields becomes %s", got)
	}
	if got := run(ours, journald.Normal{}, common.MapStr{"some": common.MapStr{"a": nil}}); got != `{"a":null}` {
		t.Errorf("a normal event becomes %s", got)
	}
}

// runOf is what the processors of a plain client make of fields, with the types of their values.
func runOf(t *testing.T, s processing.Supporter, fields common.MapStr) string {
	t.Helper()
	p, err := s.Create(beat.ProcessingConfig{}, false)
	if err != nil {
		t.Fatal(err)
	}
	e, err := p.Run(&beat.Event{Fields: fields})
	if err != nil {
		t.Fatal(err)
	}
	log, _ := e.Fields["log"].(common.MapStr)
	of, _ := log["file"].(common.MapStr)
	return fmt.Sprintf("%#v %T %T %#v %#v", e.Fields["message"], e.Fields["log"], log["file"], log["offset"], of["path"])
}
