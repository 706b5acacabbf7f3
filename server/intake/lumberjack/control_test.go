package lumberjack

import (
	"fmt"
	"testing"

	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/server/record"
)

const (
	lostRecord = `{"host":{"name":"h"},"@metadata":{"tally":{"control":"lost","source":"file:s","from":3,"to":null,"reason":"removed","name":"/var/log/s"}}}`
	badRecord  = `{"message":"no line","@metadata":{"tally":{"control":"lost","source":"file:s","from":9,"to":3,"reason":"removed"}}}`
)

func TestControlRecords(t *testing.T) {
	s := &sink{}
	addr, srv := serve(t, s, func(o *Options) {
		o.Clean = func(b *record.Batch) {
			if len(b.Events) != 1 {
				t.Errorf("%d events are to be cleaned: a control record is none", len(b.Events))
			}
		}
	})
	w := dial(t, addr)
	w.Write(append(frame('W', 6), packed(
		doc(1, lostRecord), doc(2, `{"message":"a line"}`), doc(3, badRecord),
		doc(4, `{"@metadata":{"tally":{"control":"skipped","source":"journal:j","from":0,"to":4}}}`),
		doc(5, `{"@metadata":{"tally":{"control":"complete","source":"file:s","to":100}}}`),
		doc(6, `{"@metadata":{"tally":{"control":"status","source":"agent:a","status":{"version":"1"}}}}`),
	)...))
	for {
		if n := w.ack(); n == 6 {
			break
		} else if n != 0 {
			t.Fatalf("%d events are acknowledged, want 6", n)
		}
	}
	if got := s.messages(); fmt.Sprint(got) != "[a line]" {
		t.Errorf("the events are %q", got)
	}
	want := []record.Note{
		{Kind: record.Name, Source: "file:s", Text: "/var/log/s"},
		{Kind: record.Attributes, Source: "file:s", Text: `{"host":"h"}`},
		{Kind: record.Lost, Source: "file:s", Range: ledger.Range{From: 3}, Text: "removed"},
		{Kind: record.Skipped, Source: "journal:j", Range: ledger.Range{To: 4}},
		{Kind: record.Complete, Source: "file:s", Range: ledger.Range{To: 100}},
		{Kind: record.Status, Source: "agent:a", Text: `{"version":"1"}`},
	}
	if fmt.Sprint(s.notes) != fmt.Sprint(want) {
		t.Errorf("the notes are\n%v, want\n%v", s.notes, want)
	}
	if n := srv.Stats.BadControls.Load(); n != 1 {
		t.Errorf("%d control records are counted as not valid", n)
	}
}

// checkControls holds that of a window lines and notes come out, and what the log can hold.
func checkControls(t *testing.T, w *window) {
	b := &record.Batch{Events: w.events}
	takeControls(b)
	for i := range b.Events {
		if b.Events[i].Control != nil {
			t.Fatal("a control record is left among the events")
		}
	}
	if _, err := record.Decode(record.Append(nil, &record.Batch{Notes: b.Notes})); err != nil {
		t.Fatalf("%+v cannot be written: %v", b.Notes, err)
	}
}
