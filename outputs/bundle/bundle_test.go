package bundle

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/publisher"
)

func lines(from, n int) publisher.Event {
	b := &Bundle{Source: "file:a"}
	for i := from; i < from+n; i++ {
		b.Lines = append(b.Lines, Line{From: int64(i), To: int64(i) + 1, Sum: uint64(i), Message: fmt.Sprint(i)})
	}
	return publisher.Event{Flags: publisher.GuaranteedSend, Content: beat.Event{Timestamp: time.Unix(9, 0), Private: b,
		Fields: common.MapStr{"log": common.MapStr{"file": common.MapStr{"path": "/a"}}}}}
}

func plain(i int) publisher.Event {
	return publisher.Event{Content: beat.Event{Fields: common.MapStr{"message": fmt.Sprint(i)}}}
}

func messages(events []publisher.Event) (out []string) {
	for _, e := range Expand(events) {
		out = append(out, e.Content.Fields["message"].(string))
	}
	return out
}

func TestAfter(t *testing.T) {
	all := []publisher.Event{plain(0), lines(1, 3), lines(4, 1), plain(5), lines(6, 2)}
	for n := range 9 {
		rest := After(all, n)
		var want []string
		for i := n; i < 8; i++ {
			want = append(want, fmt.Sprint(i))
		}
		if got := messages(rest); !slices.Equal(got, want) || Count(rest) != 8-n {
			t.Errorf("after %d: %v, want %v", n, got, want)
		}
	}
	if Count(all) != 8 || len(messages(all)) != 8 {
		t.Error("the events given were changed")
	}
}

func TestExpand(t *testing.T) {
	two := Expand([]publisher.Event{lines(3, 2)})
	e := two[1].Content
	tally := e.Meta["tally"].(common.MapStr)
	if !two[1].Guaranteed() || !e.Timestamp.Equal(time.Unix(9, 0)) || tally["source"] != "file:a" || tally["from"] != int64(4) ||
		tally["to"] != int64(5) || tally["skipped"] != int64(0) || tally["sum"] != "0000000000000004" {
		t.Errorf("%+v", two[1])
	}
	if off, _ := e.Fields.GetValue("log.offset"); off != int64(4) {
		t.Errorf("log.offset %v", off)
	}
	if off, _ := two[0].Content.Fields.GetValue("log.offset"); off != int64(3) {
		t.Error("two lines share their maps")
	}
	same := []publisher.Event{plain(1)}
	if &Expand(same)[0] != &same[0] {
		t.Error("plain events were copied")
	}
	fixed := lines(1, 1)
	fixed.Content.Fields = common.MapStr{"message": "mine", "log": "none"}
	if got := Expand([]publisher.Event{fixed})[0].Content.Fields; got["message"] != "mine" || got["log"] != "none" {
		t.Errorf("the configuration's fields are gone: %v", got)
	}
}

func TestWithoutControls(t *testing.T) {
	c := publisher.Event{Content: beat.Event{Meta: common.MapStr{"tally": common.MapStr{"control": "lost"}}}}
	other := publisher.Event{Content: beat.Event{Meta: common.MapStr{"tally": map[string]interface{}{"control": "lost"}}}}
	for want, in := range map[string][]publisher.Event{
		"[]": {c, other}, "[1 2]": {c, plain(1), other, plain(2), c}, "[3 4]": {lines(3, 2)},
	} {
		if got := fmt.Sprint(messages(WithoutControls(in))); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
