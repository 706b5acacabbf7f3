package plugins

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/processors"

	"github.com/tallylog/tally/plugins/host"
)

// sink is a pipeline that keeps what it gets, drops what has "filtered" in its message, and acknowledges when it is told.
type sink struct {
	mu     sync.Mutex
	acker  beat.ACKer
	events []beat.Event
}

func (s *sink) Connect() (beat.Client, error) { return s.ConnectWith(beat.ClientConfig{}) }
func (s *sink) ConnectWith(c beat.ClientConfig) (beat.Client, error) {
	s.acker = c.ACKHandler
	return s, nil
}
func (s *sink) PublishAll(events []beat.Event) {
	for _, e := range events {
		s.Publish(e)
	}
}
func (s *sink) Publish(e beat.Event) {
	m, _ := e.Fields["message"].(string)
	keep := !strings.Contains(m, "filtered")
	s.acker.AddEvent(e, keep)
	s.mu.Lock()
	defer s.mu.Unlock()
	if keep {
		s.events = append(s.events, e)
	}
}
func (s *sink) Close() error { return nil }

func (s *sink) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.events)
}

// String is the messages with what the tests look at.
func (s *sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, e := range s.events {
		m := fmt.Sprint(e.Fields["message"])
		t := tally(&e)
		if control(&e) {
			out = append(out, fmt.Sprintf("skipped[%v,%v)", t["from"], t["to"]))
			continue
		}
		for _, f := range []string{"rogue", "m", "tags"} {
			if v, ok := e.Fields[f]; ok {
				m += fmt.Sprintf(" %s=%v", f, v)
			}
		}
		if t != nil {
			m += fmt.Sprintf(" %v+%v", t["skipped"], number(t["part"])>>32)
		}
		out = append(out, m)
	}
	return strings.Join(out, "|")
}

// input is the ACKer of an input.
type input struct {
	mu           sync.Mutex
	added, acked int
}

func (i *input) AddEvent(beat.Event, bool) { i.mu.Lock(); i.added++; i.mu.Unlock() }
func (i *input) ACKEvents(n int)           { i.mu.Lock(); i.acked += n; i.mu.Unlock() }
func (i *input) Close()                    {}
func (i *input) count() int                { i.mu.Lock(); defer i.mu.Unlock(); return i.acked }

// rogue is the program, built once.
var rogue string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "rogue-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		rogue = filepath.Join(dir, "rogue")
		if out, err := exec.Command("go", "build", "-o", rogue, "../../plugins/plugintest/rogue").CombinedOutput(); err != nil {
			panic(string(out))
		}
		if err := os.Chmod(rogue, 0o700); err != nil {
			panic(err)
		}
		return m.Run()
	}())
}

// start makes a client over the processors, of which the text has the plugins' modes in angle brackets.
func start(t testing.TB, controls bool, text string) (beat.Client, *sink, *input, *Plugins) {
	t.Helper()
	path := rogue
	sum, err := host.Checksum(path)
	if err != nil {
		t.Fatal(err)
	}
	text = strings.NewReplacer("<", fmt.Sprintf("{name: r, path: %q, checksum: '%s', config: {mode: ", path, sum), ">", "}}").Replace(text)
	cfg, err := common.NewConfigWithYAML([]byte(text), "test")
	if err != nil {
		t.Fatal(err)
	}
	p, rest, err := Cut(cfg, host.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	var left struct {
		Processors processors.PluginConfig `config:"processors"`
	}
	if err := rest.Unpack(&left); err != nil || len(left.Processors) != 1 || !left.Processors[0].HasField("add_fields") {
		t.Errorf("the rest is %s, %v", rest.FlattenedKeys(), err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	s, in := &sink{}, &input{}
	c, err := p.Pipeline(s, controls).ConnectWith(beat.ClientConfig{ACKHandler: in})
	if err != nil {
		t.Fatal(err)
	}
	return c, s, in, p
}

func line(i int, message string) beat.Event {
	return beat.Event{Timestamp: time.Unix(1, 0), Fields: common.MapStr{"message": message}, Private: i,
		Meta: common.MapStr{"tally": common.MapStr{"source": "s", "from": int64(10 * i), "to": int64(10*i + 10), "skipped": int64(0), "sum": "x"}}}
}

const after = "- add_fields: {target: after, fields: {x: 1}}\n"

func wait(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func TestOrderAndAcknowledgement(t *testing.T) {
	c, s, in, _ := start(t, false, "processors:\n- drop_event: {when: {contains: {message: early}}}\n- plugin: <split>\n"+after)
	for i, m := range []string{"a", "early", "filtered", "b"} {
		c.Publish(line(i, m))
	}
	wait(t, "the buffer to be flushed", func() bool { return s.len() == 4 })
	if got, want := s.String(), "a 0+0|a m=2 0+1|b 20+0|b m=2 0+1"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if in.added != 4 || in.count() != 0 {
		t.Errorf("%+v", in)
	}
	s.acker.ACKEvents(1)
	if n := in.count(); n != 0 {
		t.Errorf("%d acknowledged though a part is under way", n)
	}
	s.acker.ACKEvents(2)
	wait(t, "three", func() bool { return in.count() == 3 })
	s.acker.ACKEvents(1)
	wait(t, "all", func() bool { return in.count() == 4 })
	if _, ok := s.events[0].Fields["m"]; ok || s.events[0].Private != 0 {
		t.Error("the parts share their maps")
	}
}

func TestDropped(t *testing.T) {
	c, s, in, _ := start(t, true, "processors:\n- plugin: <drop>\n"+after)
	c.PublishAll([]beat.Event{line(0, "a"), line(1, "b"), {Fields: common.MapStr{"message": "c"}}})
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if got := s.String(); got != "skipped[0,20)" || in.count() != 3 {
		t.Errorf("%s, %d acknowledged", got, in.count())
	}
	// Without control records the next event tells it.
	c, s, _, _ = start(t, false, "processors:\n- plugin: <drop>\n"+after)
	c.Publish(line(0, "a"))
	wait(t, "the buffer to be flushed", func() bool { c := c.(*client); c.mu.Lock(); defer c.mu.Unlock(); return len(c.skips) == 1 })
	control := line(1, "control record")
	control.Meta["tally"].(common.MapStr)["control"] = "complete"
	c.Publish(control)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if s.len() != 1 {
		t.Error("a control record went to the plugin")
	}
}

func TestFailure(t *testing.T) {
	c, s, in, p := start(t, false, "processors:\n- plugin: <exit>\n"+after)
	for i := range 1000 {
		c.Publish(line(i, fmt.Sprint(i)))
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if s.len() != 1000 {
		t.Fatalf("%d of 1000 came out", s.len())
	}
	for i, e := range s.events {
		if e.Private != i || fmt.Sprint(e.Fields["tags"]) != "[_pluginfailure]" {
			t.Fatalf("event %d: %+v", i, e)
		}
	}
	s.acker.ACKEvents(1000)
	if in.count() != 1000 || p.List()[0].Failed != 1000 {
		t.Errorf("%+v %+v", in.count(), p.List())
	}
}

func TestCutRefuses(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		cfg, err := common.NewConfigWithYAML([]byte(text), "test")
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := Cut(cfg, host.Options{Log: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	f("processors: [{plugin: {name: x}}]", "there is no plugin \"x\" under the key plugins, and no path is given accessing 'processors.0.plugin'")
	f("processors: [{if.equals.a: b, then: [{plugin: {name: x}}]}]", "accessing 'processors.0'")
	cfg := common.MustNewConfigFrom(map[string]any{"processors": []any{map[string]any{"drop_event": nil}}})
	if p, rest, err := Cut(cfg, host.Options{}); p != nil || rest != cfg || err != nil {
		t.Error(p, rest, err)
	}
}

// BenchmarkClient is what an event costs through the buffer of a client, the plugin and back, against the same batches as an output would
// have them.
func BenchmarkClient(b *testing.B) {
	c, s, _, _ := start(b, false, "processors:\n- plugin: <''>\n"+after)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		c.Publish(line(i, "INFO  [svc-21] method=GET path=/api/v1/bravo/oscar status=300 bytes=70523 dur=351.745ms"))
		if i++; i%most == 0 {
			s.acker.ACKEvents(s.len())
			s.events = s.events[:0]
		}
	}
}
