package lumberjack

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	v2 "github.com/elastic/go-lumber/client/v2"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/admit"
	"github.com/tallylog/tally/server/intake"
	"github.com/tallylog/tally/server/record"
)

// sink admits everything, when it is let.
type sink struct {
	mu     sync.Mutex
	events []event.Event
	notes  []record.Note
	gate   chan error // nil: at once; else each batch waits for its outcome
}

func (s *sink) Admit(ctx context.Context, b *record.Batch) (admit.Result, error) {
	if s.gate != nil {
		select {
		case err := <-s.gate:
			if err != nil {
				return admit.Result{}, err
			}
		case <-ctx.Done():
			return admit.Result{}, ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, b.Events...)
	s.notes = append(s.notes, b.Notes...)
	return admit.Result{Accepted: len(b.Events)}, nil
}

func (s *sink) messages() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for i := range s.events {
		m, _ := s.events[i].Get("message")
		out = append(out, m)
	}
	return out
}

func serve(t testing.TB, s *sink, change func(*Options)) (addr string, srv *Server) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Admit: s, Budget: intake.NewBudget(64 << 20), Identify: func(net.Conn) (Client, error) { return Client{Name: "c"}, nil },
		Stall: time.Second, KeepAlive: 20 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
		Limits: Limits{Events: 10_000, Bytes: 8 << 20, EventBytes: 1 << 20},
	}
	if change != nil {
		change(&o)
	}
	srv = New(o)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		srv.Shutdown(ctx)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String(), srv
}

// wire speaks the protocol by hand.
type wire struct {
	t testing.TB
	net.Conn
}

func dial(t testing.TB, addr string) *wire {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	w := &wire{t, c}
	if n := w.ack(); n != 0 {
		t.Fatalf("the greeting is an acknowledgement of %d, want 0", n)
	}
	return w
}

func (w *wire) ack() uint32 {
	w.t.Helper()
	var b [6]byte
	w.SetReadDeadline(time.Now().Add(2 * time.Minute))
	if _, err := io.ReadFull(w, b[:]); err != nil {
		w.t.Fatalf("no acknowledgement: %v", err)
	}
	if b[0] != '2' || b[1] != 'A' {
		w.t.Fatalf("frame %q, want an acknowledgement", b[:2])
	}
	return binary.BigEndian.Uint32(b[2:])
}

// closed waits until the server closes, and holds that it acknowledged nothing.
func (w *wire) closed() {
	w.t.Helper()
	w.SetReadDeadline(time.Now().Add(2 * time.Minute))
	b, err := io.ReadAll(w.Conn)
	if err != nil && !strings.Contains(err.Error(), "reset") {
		w.t.Errorf("the connection stays open: %v", err)
	}
	for ; len(b) >= 6; b = b[6:] {
		if n := binary.BigEndian.Uint32(b[2:]); n != 0 {
			w.t.Errorf("%d events were acknowledged", n)
		}
	}
}

func frame(kind byte, parts ...any) []byte {
	b := []byte{'2', kind}
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			b = binary.BigEndian.AppendUint32(b, uint32(p))
		case string:
			b = append(b, p...)
		case []byte:
			b = append(b, p...)
		}
	}
	return b
}

func doc(seq int, json string) []byte { return frame('J', seq, len(json), json) }

func packed(frames ...[]byte) []byte {
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	w.Write(bytes.Join(frames, nil))
	w.Close()
	return frame('C', z.Len(), z.Bytes())
}

func TestStockClient(t *testing.T) {
	s := &sink{}
	addr, _ := serve(t, s, nil)
	for _, level := range []int{0, 3} {
		c, err := v2.SyncDialWith(net.Dial, addr, v2.CompressionLevel(level), v2.Timeout(5*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		var batch []any
		for i := range 500 {
			batch = append(batch, map[string]any{"message": fmt.Sprint("line ", i)})
		}
		for range 3 {
			if n, err := c.Send(batch); err != nil || n != 500 {
				t.Fatalf("sent %d: %v", n, err)
			}
		}
		c.Close()
	}
	if got := s.messages(); len(got) != 3000 || got[0] != "line 0" || got[2999] != "line 499" {
		t.Errorf("%d events arrived", len(got))
	}
}

func TestAckOnlyAfterAdmission(t *testing.T) {
	s := &sink{gate: make(chan error)}
	addr, _ := serve(t, s, nil)
	w := dial(t, addr)
	w.Write(append(frame('W', 1), doc(1, `{"message":"a"}`)...))
	for range 3 { // signs of life meanwhile
		if n := w.ack(); n != 0 {
			t.Fatalf("%d events are acknowledged before they are durable", n)
		}
	}
	w.Write(append(frame('W', 2), packed(doc(1, `{"message":"b"}`), doc(2, `{"message":"c"}`))...))
	s.gate <- nil
	s.gate <- nil
	var acks []uint32
	for len(acks) < 2 {
		if n := w.ack(); n > 0 {
			acks = append(acks, n)
		}
	}
	if fmt.Sprint(acks, s.messages()) != "[1 2] [a b c]" {
		t.Errorf("acknowledged %v, stored %v", acks, s.messages())
	}
}

func TestFailedAdmissionClosesWithoutAck(t *testing.T) {
	s := &sink{gate: make(chan error, 1)}
	addr, _ := serve(t, s, nil)
	w := dial(t, addr)
	s.gate <- errors.New("disk broke")
	w.Write(append(frame('W', 1), doc(1, `{"message":"a"}`)...))
	w.closed()
}

// TestHostile: what is no window closes its own connection, without acknowledgement, and no other.
func TestHostile(t *testing.T) {
	s := &sink{}
	addr, srv := serve(t, s, nil)
	honest := dial(t, addr)
	bomb := packed(doc(1, `{"message":"`+strings.Repeat("x", 900<<10)+`"}`), bytes.Repeat(doc(2, `{"message":"`+strings.Repeat("x", 900<<10)+`"}`), 20))
	for name, in := range map[string][]byte{
		"garbage":                   []byte("GET / HTTP/1.1\r\n\r\n"),
		"version 1":                 []byte("1W\x00\x00\x00\x01"),
		"no window":                 doc(1, `{}`),
		"huge window":               frame('W', 1<<31),
		"unknown frame":             append(frame('W', 1), frame('X', 1)...),
		"huge event":                append(frame('W', 1), frame('J', 1, 1<<31)...),
		"huge compressed frame":     append(frame('W', 1), frame('C', 1<<31)...),
		"not zlib":                  append(frame('W', 1), frame('C', 4, "abcd")...),
		"bomb":                      append(frame('W', 100), bomb...),
		"more events than declared": append(frame('W', 1), packed(doc(1, `{}`), doc(2, `{}`))...),
		"compressed in compressed":  append(frame('W', 1), packed(packed(doc(1, `{}`)))...),
		"window in compressed":      append(frame('W', 1), packed(frame('W', 1))...),
		"cut zlib":                  append(frame('W', 1), frame('C', 10, packed(doc(1, `{}`))[6:16])...),
		"stops in the middle":       append(frame('W', 2), doc(1, `{"message":"x"}`)...),
		"stops in a header":         append(frame('W', 2), '2'),
	} {
		t.Run(name, func(t *testing.T) {
			w := dial(t, addr)
			w.Write(in)
			w.closed()
		})
	}
	if got := s.messages(); len(got) != 0 {
		t.Errorf("events of hostile clients are stored: %.100q", got)
	}
	honest.Write(append(frame('W', 1), doc(1, `{"message":"fine"}`)...))
	for honest.ack() == 0 {
	}
	if srv.Stats.Broken.Load() != 15 {
		t.Errorf("%d broken connections are counted, want 15", srv.Stats.Broken.Load())
	}
}

func TestUnparsableEventKeepsItsText(t *testing.T) {
	s := &sink{}
	addr, _ := serve(t, s, nil)
	w := dial(t, addr)
	deep := strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000)
	w.Write(bytes.Join([][]byte{frame('W', 4), doc(1, `{"message":"a"}`), doc(2, `not json`), doc(3, deep), doc(4, "{\"message\":\"x\xffy\"}")}, nil))
	for w.ack() == 0 {
	}
	got := s.messages()
	if len(got) != 4 || got[1] != "not json" || got[2] != deep || got[3] != "x\uFFFDy" {
		t.Errorf("stored %.200q", got)
	}
	if tags, _ := s.events[1].Get("tags"); tags != `["_jsonparsefailure"]` {
		t.Errorf("tags %s", tags)
	}
}

// TestManySlowConnections: thousands of clients that send half a window hold little, and nobody else up.
func TestManySlowConnections(t *testing.T) {
	s := &sink{}
	addr, _ := serve(t, s, func(o *Options) { o.Stall = time.Minute })
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const n = 2000
	half := append(frame('W', 10), frame('C', 1<<20, "only the beginning")...)
	for range n {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.Write(half)
	}
	w := dial(t, addr)
	w.Write(append(frame('W', 1), doc(1, `{"message":"fine"}`)...))
	for w.ack() == 0 {
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if per := int64(after.Sys-before.Sys) / n; per > 40<<10 {
		t.Errorf("a slow connection holds %d bytes", per)
	}
}

func TestShutdownFinishesWhatIsUnderWay(t *testing.T) {
	s := &sink{gate: make(chan error)}
	addr, srv := serve(t, s, nil)
	idle, busy := dial(t, addr), dial(t, addr)
	busy.Write(append(frame('W', 1), doc(1, `{"message":"a"}`)...))
	for busy.ack() != 0 { // a keep-alive: the window is being admitted
	}
	stopped := make(chan struct{})
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		srv.Shutdown(ctx)
		close(stopped)
	}()
	idle.closed()
	s.gate <- nil
	for busy.ack() == 0 {
	}
	<-stopped
}

func FuzzFrames(f *testing.F) {
	f.Add(append(frame('W', 2), packed(doc(1, `{"message":"b"}`), doc(2, `{"message":"c"}`))...))
	f.Add(append(frame('W', 1), doc(1, `{"a":1}`)...))
	f.Add(append(frame('W', 3), packed(doc(1, lostRecord), doc(2, badRecord), doc(3, `{"message":"c"}`))...))
	f.Add([]byte("1W"))
	f.Fuzz(func(t *testing.T, in []byte) {
		budget := intake.NewBudget(64 << 20)
		r := reader(in, budget)
		for {
			w, err := r.next(t.Context())
			if err != nil {
				break
			}
			if len(w.events) != w.count {
				t.Fatalf("%d events in a window of %d", len(w.events), w.count)
			}
			checkControls(t, w)
			w.share.Release()
		}
		if budget.Used() != 0 {
			t.Fatalf("%d bytes of the budget are not given back", budget.Used())
		}
	})
}

func reader(in []byte, b *intake.Budget) *frameReader {
	c := &conn{s: &Server{}, log: slog.New(slog.DiscardHandler)}
	return &frameReader{
		in: bufio.NewReader(bytes.NewReader(in)), limits: Limits{Events: 4096, Bytes: 4 << 20, EventBytes: 1 << 20}, budget: b, progress: func(bool) {}, refused: c.refused,
	}
}

func BenchmarkWindow(b *testing.B) {
	line := `{"@timestamp":"2026-01-02T03:04:05.123Z","@metadata":{"beat":"tallybeat","type":"_doc","version":"7.17.29","tally":{"source":"file:1f2e3d4c5b6a79880123456789abcdef","from":123456,"to":123650,"sum":"9a8b7c6d5e4f3a2b"}},"message":"` + strings.Repeat("a usual line ", 15) + `","log":{"file":{"path":"/var/log/app.log"},"offset":123456},"host":{"name":"node-1"},"agent":{"type":"tallybeat","version":"7.17.29"},"ecs":{"version":"1.12.0"},"input":{"type":"applog"}}`
	var frames [][]byte
	for i := range 2048 {
		frames = append(frames, doc(i+1, line))
	}
	in := append(frame('W', 2048), packed(frames...)...)
	budget := intake.NewBudget(64 << 20)
	b.ReportAllocs()
	for b.Loop() {
		w, err := reader(in, budget).next(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		w.share.Release()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/2048, "ns/event")
}
