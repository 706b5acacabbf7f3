package beat

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	fbfile "github.com/elastic/beats/v7/filebeat/input/file"
	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/common/acker"
	libfile "github.com/elastic/beats/v7/libbeat/common/file"
	"github.com/elastic/beats/v7/libbeat/logp"
	"github.com/elastic/beats/v7/libbeat/outputs"
	"github.com/elastic/beats/v7/libbeat/processors"
	"github.com/elastic/beats/v7/libbeat/publisher"
	"github.com/elastic/beats/v7/libbeat/publisher/pipeline"
	"github.com/elastic/beats/v7/libbeat/publisher/queue"

	"github.com/tallylog/tally/beat/filepos"
	"github.com/tallylog/tally/outputs/beatjson"
	"github.com/tallylog/tally/outputs/bundle"
	"github.com/tallylog/tally/outputs/memqueue"
)

// paper is an output that writes lines down; it gives every batch back once. It begins when it is let.
type paper struct {
	json  *beatjson.Encoder
	begin chan struct{}

	mu      sync.Mutex
	lines   []string
	bundles int // of more than one line
	tried   map[string]bool
}

func (p *paper) Publish(_ context.Context, b publisher.Batch) error {
	<-p.begin
	p.mu.Lock()
	defer p.mu.Unlock()
	events := b.Events()
	var lines []string
	for i := range events {
		e := &events[i].Content
		if g := bundle.Of(e); g != nil {
			for j := range g.Lines {
				lines = append(lines, string(p.json.AppendLine(nil, e, g, j)))
			}
			if len(g.Lines) > 1 {
				p.bundles++
			}
			continue
		}
		lines = append(lines, string(p.json.Append(nil, e)))
	}
	if !p.tried[lines[0]] {
		p.tried[lines[0]] = true
		half := len(lines) / 2
		p.lines = append(p.lines, lines[:half]...)
		b.RetryEvents(bundle.After(events, half))
		return nil
	}
	p.lines = append(p.lines, lines...)
	b.ACK()
	return nil
}

func (p *paper) Close() error   { return nil }
func (p *paper) String() string { return "paper" }

// published is what comes out of a pipeline for events that a Filebeat input publishes, and what it hears of their acknowledgement.
func publishedBy(t *testing.T, join bool, global string, client beat.ProcessingConfig, events []beat.Event) (*paper, []any) {
	t.Helper()
	cfg, err := common.NewConfigWithYAML([]byte(global), "test")
	if err != nil {
		t.Fatal(err)
	}
	info := beat.Info{Beat: "tallybeat", Version: "7.17.29", Name: "host"}
	supporter, err := (&wiring{}).processing()(info, logp.NewLogger("test"), cfg)
	if err != nil {
		t.Fatal(err)
	}
	out := &paper{json: beatjson.New("tallybeat", "7.17.29", false), begin: make(chan struct{}), tried: map[string]bool{}}
	p, err := pipeline.New(info, pipeline.Monitors{}, func(l queue.ACKListener) (queue.Queue, error) {
		return memqueue.New(l, memqueue.Config{Events: 64, FlushMinEvents: 16, FlushTimeout: 10 * time.Millisecond}, nil), nil
	}, outputs.Group{Clients: []outputs.Client{out}, BatchSize: 16, Retry: -1}, pipeline.Settings{Processors: supporter})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var mu sync.Mutex
	var acked []any
	c, err := filepos.New(p, "host", join).ConnectWith(beat.ClientConfig{
		PublishMode: beat.GuaranteedSend, Processing: client,
		ACKHandler: acker.EventPrivateReporter(func(_ int, private []any) {
			mu.Lock()
			defer mu.Unlock()
			acked = append(acked, private...)
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i, e := range events {
		if i == 50 { // which is less than the queue holds
			close(out.begin)
		}
		e.Fields = e.Fields.Clone()
		c.Publish(e)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		mu.Lock()
		n := len(acked)
		mu.Unlock()
		if n == len(events) {
			return out, acked
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d events were acknowledged", n, len(events))
		}
	}
}

// TestJoined: lines of Filebeat's inputs that are joined on their way come out as the events that they are otherwise, whatever the configuration adds,
// and the input hears of each in turn.
func TestJoined(t *testing.T) {
	var events []beat.Event
	dir := t.TempDir()
	at := time.Date(2026, 1, 2, 3, 4, 5, 999_500_000, time.FixedZone("", 3600))
	offsets := map[string]int64{}
	add := func(name, message string, more common.MapStr) {
		path := filepath.Join(dir, name)
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(message + "\n"); err != nil {
			t.Fatal(err)
		}
		st, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		at = at.Add(300 * time.Microsecond)
		from := offsets[path]
		offsets[path] += int64(len(message)) + 1
		e := beat.Event{
			Timestamp: at, Private: fbfile.State{Id: path, Source: path, Offset: offsets[path], FileStateOS: libfile.GetOSState(st)},
			Fields: common.MapStr{"message": message, "log": common.MapStr{"offset": from, "file": common.MapStr{"path": path}}},
		}
		e.Fields.DeepUpdate(more)
		events = append(events, e)
	}
	for i := range 200 {
		text := fmt.Sprint("line \"", i, "\"\t")
		switch {
		case i%50 == 20:
			add("b.log", text, common.MapStr{"json": common.MapStr{"n": i}})
		case i%50 == 21:
			add("b.log", text, common.MapStr{"log": common.MapStr{"flags": []string{"truncated"}}})
		case i%50 == 22:
			events = append(events, beat.Event{Private: fbfile.State{Id: "state", Offset: int64(i)}}) // for the registry alone
		case i%50 == 23:
			events = append(events, beat.Event{Fields: common.MapStr{"message": "of no file"}})
		case i%50 > 40:
			add("c.log", text, common.MapStr{"stream": []string{"stdout", "stderr"}[i/45%2]})
		default:
			add([]string{"a.log", "b.log"}[i/10%2], text, nil)
		}
	}
	type m = common.MapStr
	for name, f := range map[string]struct {
		global string
		client beat.ProcessingConfig
	}{
		"plain":  {},
		"fields": {"{tags: [g], fields: {a: 1, log: {x: 2}}, name: other}", beat.ProcessingConfig{EventMetadata: common.EventMetadata{Tags: []string{"t"}, Fields: m{"k": "v"}}}},
		"input":  {"", beat.ProcessingConfig{Fields: m{"input": m{"type": "log"}, "event": m{"module": "x"}}, Meta: m{"pipeline": "p"}, DisableHost: true}},
		"under root": {"{fields_under_root: true, fields: {message: mine, stream: other, agent: {type: it}}}",
			beat.ProcessingConfig{EventMetadata: common.EventMetadata{FieldsUnderRoot: true, Fields: m{"log": m{"offset": 7, "level": "x"}, "host": m{"os": "y"}}}}},
		"a text for a log": {"", beat.ProcessingConfig{EventMetadata: common.EventMetadata{FieldsUnderRoot: true, Fields: m{"log": "text", "@timestamp": "never"}}}},
		"null":             {"", beat.ProcessingConfig{KeepNull: true, EventMetadata: common.EventMetadata{Fields: m{"n": nil}}}},
	} {
		plain, wantACKs := publishedBy(t, false, f.global, f.client, events)
		joined, acks := publishedBy(t, true, f.global, f.client, events)
		if plain.bundles != 0 || joined.bundles < 2 {
			t.Errorf("%s: %d and %d bundles", name, plain.bundles, joined.bundles)
		}
		compare(t, name, joined.lines, plain.lines)
		var want []any
		for _, e := range events {
			want = append(want, e.Private)
		}
		if !reflect.DeepEqual(wantACKs, want) || !reflect.DeepEqual(acks, want) {
			t.Errorf("%s: the input hears of other events, or in another order", name)
		}
	}
	// Whoever looks at single events gets them.
	look := beat.ProcessingConfig{DynamicFields: &common.MapStrPointer{}}
	if out, _ := publishedBy(t, true, "", look, events); out.bundles > 0 {
		t.Error("lines of a client with fields that change are joined")
	}
	list, err := processors.New(processorsOf(t, "- drop_event.when.contains.message: '7'"))
	if err != nil {
		t.Fatal(err)
	}
	out, _ := publishedBy(t, true, "", beat.ProcessingConfig{Processor: list}, events)
	if out.bundles > 0 || len(out.lines) == 0 || slices.ContainsFunc(out.lines, func(l string) bool {
		var e struct{ Message string }
		return json.Unmarshal([]byte(l), &e) != nil || slices.Contains([]byte(e.Message), '7')
	}) {
		t.Error("lines of a client with a processor are joined, or it does not see them")
	}
}

func processorsOf(t *testing.T, text string) processors.PluginConfig {
	t.Helper()
	c, err := common.NewConfigWithYAML([]byte(text), "test")
	if err != nil {
		t.Fatal(err)
	}
	var list processors.PluginConfig
	if err := c.Unpack(&list); err != nil {
		t.Fatal(err)
	}
	return list
}

// compare tells which lines differ. What was tried again comes later, so their order is left open.
func compare(t *testing.T, name string, got, want []string) {
	t.Helper()
	sorted := func(lines []string) (out []string) {
		for _, l := range lines {
			var e any
			if err := json.Unmarshal([]byte(l), &e); err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(e) // with its keys in order
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, string(text))
		}
		slices.Sort(out)
		return out
	}
	got, want = sorted(got), sorted(want)
	if len(got) != len(want) {
		t.Errorf("%s: %d lines, want %d", name, len(got), len(want))
		return
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%s: line %d\n got %s\nwant %s", name, i, got[i], want[i])
			return
		}
	}
}
