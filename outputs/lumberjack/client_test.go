package lumberjack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	lumber "github.com/elastic/go-lumber/server/v2"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
)

// A genuine server of the protocol gets every event, at every level of compression, with and without pipelining.
func TestInterop(t *testing.T) {
	f := func(batches int, options string) {
		t.Helper()
		l := listen(t)
		s, err := lumber.NewWithListener(l)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		c := connected(t, `{hosts: [%q], bulk_max_size: 100, %s}`, l.Addr(), options)
		sent := make([]*batch, batches)
		for i := range sent {
			sent[i] = newBatch(events(100*i, 100)...)
		}
		go func() {
			for _, b := range sent {
				if err := c.Publish(context.Background(), b); err != nil {
					t.Errorf("%s: %v", options, err)
				}
			}
		}()
		for next := 0; next < 100*batches; {
			select {
			case b := <-s.ReceiveChan():
				for _, e := range b.Events {
					e := e.(map[string]any)
					if want := fmt.Sprint("line ", next); e["message"] != want || e["@timestamp"] != "1970-01-01T00:00:01.000Z" {
						t.Fatalf("%s: got %v, want %q", options, e, want)
					}
					meta, _ := json.Marshal(e["@metadata"])
					if string(meta) != `{"beat":"tallybeat","type":"_doc","version":"7.17.29"}` {
						t.Fatalf("%s: metadata %s", options, meta)
					}
					next++
				}
				b.ACK()
			case <-time.After(patience):
				t.Fatalf("%s: event %d did not come", options, next)
			}
		}
		for _, b := range sent {
			b.wait(t, "ACK")
		}
	}
	f(20, "compression_level: 0")
	f(20, "compression_level: 0, pipelining: 0")
	f(20, "compression_level: 3")
	f(20, "compression_level: 9, pipelining: 5")
	f(20, "slow_start: true")
	f(20, "slow_start: true, pipelining: 0")
	f(3, "ttl: 1ms")
	f(3, "ttl: 1ms, pipelining: 0")
}

// The peer answers one window of five events with these acknowledgements and hangs up.
func TestAcknowledgements(t *testing.T) {
	whole := func() []beat.Event { return events(0, 5) }
	f := func(fate string, acks ...int) {
		t.Helper()
		addr := serve(t, func(c net.Conn) {
			ack(c, 0)
			if n, _, err := window(c); n != 5 || err != nil {
				t.Errorf("window of %d, %v", n, err)
			}
			for _, seq := range acks {
				if ack(c, seq) != nil {
					return
				}
			}
		})
		c := connected(t, `{hosts: [%q]}`, addr)
		b := newBatch(whole()...)
		if err := c.Publish(context.Background(), b); err != nil {
			t.Error(err)
		}
		b.wait(t, fate)
	}
	f("ACK", 5)
	f("ACK", 0, 0, 5)
	f("ACK", 2, 0, 4, 5)
	f("3,4", 3)
	f("3,4", 3, 1)
	f("0,1,2,3,4")
	f("0,1,2,3,4", 0)
	f("0,1,2,3,4", 6)
	f("1,2,3,4", 1, 1<<31)
	f("ACK", 5, 1) // what comes after is the next connection's trouble
	whole = func() []beat.Event { return []beat.Event{bundled(0, 2), events(2, 1)[0], bundled(3, 2)} }
	f("ACK", 0, 3, 5)
	f("1,2,3,4", 1)
	f("4", 4, 4)
	f("0,1,2,3,4", 6)
}

// Windows hold bulk_max_size lines at most, whatever bundles they come in, and their order stays.
func TestWindowsOfBundles(t *testing.T) {
	lines := make(chan string, 100)
	addr := serve(t, func(c net.Conn) {
		ack(c, 0)
		for {
			n, frames, err := window(c)
			if err != nil {
				return
			}
			if n > 4 {
				t.Errorf("a window of %d", n)
			}
			for _, part := range strings.Split(string(frames), `"message":"line `)[1:] {
				text, _, _ := strings.Cut(part, `"`)
				lines <- text
			}
			ack(c, n)
		}
	})
	c := connected(t, `{hosts: [%q], bulk_max_size: 4, compression_level: 0}`, addr)
	b := newBatch(bundled(0, 7), events(7, 1)[0], bundled(8, 3), bundled(11, 9))
	if err := c.Publish(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	b.wait(t, "ACK")
	for i := range 20 {
		if got := <-lines; got != fmt.Sprint(i) {
			t.Fatalf("line %s, want %d", got, i)
		}
	}
}

// With pipelining the second window is on its way before the first is acknowledged, and each gets what belongs to it.
func TestPipelining(t *testing.T) {
	addr := serve(t, func(c net.Conn) {
		ack(c, 0)
		for range 2 {
			if n, _, err := window(c); n != 3 || err != nil {
				t.Errorf("window of %d, %v", n, err)
			}
		}
		ack(c, 3)
		ack(c, 1)
	})
	c := connected(t, `{hosts: [%q], pipelining: 2}`, addr)
	first, second := newBatch(events(0, 3)...), newBatch(events(3, 3)...)
	for _, b := range []*batch{first, second} {
		if err := c.Publish(context.Background(), b); err != nil {
			t.Fatal(err)
		}
	}
	first.wait(t, "ACK")
	second.wait(t, "4,5")
	// The failure was not while idle: the caller hears of it, and backs off.
	third := newBatch(events(6, 1)...)
	if err := c.Publish(context.Background(), third); err == nil {
		t.Error("no error after a failed window")
	}
	third.wait(t, "Cancelled")
}

// A peer that is slow but shows signs of life has time; one that is silent has not.
func TestTimeout(t *testing.T) {
	f := func(fate string, alive int) {
		t.Helper()
		addr := serve(t, func(c net.Conn) {
			ack(c, 0)
			window(c)
			for range alive {
				time.Sleep(100 * time.Millisecond)
				ack(c, 0)
			}
			if alive > 0 {
				ack(c, 2)
			}
			window(c) // until the client hangs up
		})
		c := connected(t, `{hosts: [%q], timeout: 400ms, pipelining: 0}`, addr)
		b := newBatch(events(0, 2)...)
		if err := c.Publish(context.Background(), b); (err == nil) != (fate == "ACK") {
			t.Errorf("publish: %v, want %s", err, fate)
		}
		b.wait(t, fate)
	}
	f("ACK", 8)
	f("0,1", 0)
}

// A connection that the peer closes while it is idle is replaced without an error, as Logstash closes them after a minute.
func TestIdleClose(t *testing.T) {
	var n atomic.Int32
	closed := make(chan struct{})
	addr := serve(t, func(c net.Conn) {
		if n.Add(1) == 1 {
			c.Close()
			close(closed)
			return
		}
		for {
			k, _, err := window(c)
			if err != nil {
				return
			}
			ack(c, k)
		}
	})
	c := oneClient(t, `{hosts: [%q]}`, addr)
	for c.Connect() != nil { // the peer may hang up before or after the greeting's time
	}
	<-closed
	b := newBatch(events(0, 2)...)
	if err := c.Publish(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	b.wait(t, "ACK")
}

// Control records reach a peer that greets, and no other; both acknowledge them.
func TestGreeting(t *testing.T) {
	f := func(tally bool, in []beat.Event, messages string) {
		t.Helper()
		got := make(chan string, 1)
		addr := serve(t, func(c net.Conn) {
			if tally {
				ack(c, 0)
			}
			n, frames, err := window(c)
			if err != nil {
				return
			}
			got <- string(frames)
			ack(c, n)
		})
		c := connected(t, `{hosts: [%q], compression_level: 0}`, addr)
		b := newBatch(in...)
		if err := c.Publish(context.Background(), b); err != nil {
			t.Error(err)
		}
		b.wait(t, "ACK")
		if messages == "" {
			return
		}
		frames := <-got
		names := ""
		for _, part := range strings.Split(frames, `{"@timestamp"`)[1:] {
			if strings.Contains(part, `"control":"complete"`) {
				names += "C"
			} else {
				names += part[strings.Index(part, "line ")+5 : len(part)-2]
			}
		}
		if names != messages {
			t.Errorf("tally=%v: the peer got %s, want %s:\n%s", tally, names, messages, frames)
		}
	}
	mixed := append(append([]beat.Event{control()}, events(0, 2)...), control(), events(2, 1)[0])
	f(true, mixed, "C01C2")
	f(false, mixed, "012")
	f(false, events(0, 3), "012")
	f(true, []beat.Event{control()}, "C")
	f(false, []beat.Event{control(), control()}, "")
}

// A peer that begins with anything else than an acknowledgement of 0 is refused.
func TestStrangers(t *testing.T) {
	for _, hello := range []string{"SSH-2.0-x\r\n", "2A\x00\x00\x00\x07", ""} {
		addr := serve(t, func(c net.Conn) { c.Write([]byte(hello)) })
		if err := oneClient(t, `{hosts: [%q], backoff: {init: 1ms, max: 1ms}}`, addr).Connect(); err == nil {
			t.Errorf("connected to a peer that says %q and hangs up", hello)
		}
	}
}

// A window ends before it is too large to be held.
func TestLargeEvents(t *testing.T) {
	var sizes []int
	addr := serve(t, func(c net.Conn) {
		for {
			n, _, err := window(c)
			if err != nil {
				return
			}
			sizes = append(sizes, n)
			ack(c, n)
		}
	})
	c := connected(t, `{hosts: [%q], compression_level: 1, pipelining: 1}`, addr)
	in := events(0, 6)
	for i := range in[:5] {
		in[i].Fields["message"] = strings.Repeat("x", 6<<20)
	}
	b := newBatch(in...)
	if err := c.Publish(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	b.wait(t, "ACK")
	if !reflect.DeepEqual(sizes, []int{3, 3}) {
		t.Errorf("windows of %v events, want [3 3]", sizes)
	}
}

func TestSlowStart(t *testing.T) {
	w := newSlowStart(100)
	var got []int
	for range 7 {
		got = append(got, w.get())
		w.grow(1000)
	}
	w.shrink()
	got = append(got, w.get())
	w.grow(1000)
	got = append(got, w.get())
	w.grow(5) // smaller than the window: says nothing
	got = append(got, w.get())
	if want := []int{10, 15, 23, 35, 53, 80, 100, 50, 75, 75}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestOptions(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		_, err := group(t, "%s", text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	f(`{hosts: [a], anything: else}`, "")
	f(`{}`, "hosts")
	f(`{hosts: [a], port: 1}`, "port")
	f(`{hosts: [a], worker: 0}`, "worker")
	f(`{hosts: [a], compression_level: 10}`, "compression_level")
	f(`{hosts: [a], pipelining: -1}`, "pipelining")
	f(`{hosts: [a], ttl: -1s}`, "ttl")
	f(`{hosts: [a], max_retries: -2}`, "max_retries")
	f(`{hosts: [a], ssl.certificate: /nowhere}`, "ssl")
	g, err := group(t, `{hosts: [a, b], worker: 2, loadbalance: true, bulk_max_size: 7, max_retries: 5}`)
	if err != nil || len(g.Clients) != 4 || g.BatchSize != 7 || g.Retry != 5 {
		t.Errorf("%+v, %v", g, err)
	}
	if g, err = group(t, `{hosts: [a, b]}`); err != nil || len(g.Clients) != 1 || g.BatchSize != 2048 || g.Retry != 3 {
		t.Errorf("%+v, %v", g, err)
	}
}

// The configured index and escape_html reach the wire.
func TestEncodingOptions(t *testing.T) {
	frames := make(chan []byte, 1)
	addr := serve(t, func(c net.Conn) {
		n, b, _ := window(c)
		frames <- b
		ack(c, n)
	})
	c := connected(t, `{hosts: [%q], compression_level: 0, index: MyIndex, escape_html: true}`, addr)
	b := newBatch(beat.Event{Fields: common.MapStr{"message": "<&>"}})
	if err := c.Publish(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	b.wait(t, "ACK")
	if got := <-frames; !bytes.Contains(got, []byte(`"beat":"myindex"`)) || !bytes.Contains(got, []byte(`"\u003c\u0026\u003e"`)) {
		t.Errorf("got %s", got)
	}
}
