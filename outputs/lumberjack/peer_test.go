package lumberjack

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/outputs"
	"github.com/elastic/beats/v7/libbeat/outputs/outest"

	"github.com/tallylog/tally/outputs/bundle"
)

// patience is for what must happen; nothing waits that long when all is well.
const patience = 2 * time.Minute

var info = beat.Info{Beat: "tallybeat", IndexPrefix: "Tallybeat", Version: "7.17.29"}

// group makes the clients of a configuration in YAML's flow form.
func group(t testing.TB, text string, args ...any) (outputs.Group, error) {
	t.Helper()
	cfg, err := common.NewConfigWithYAML(fmt.Appendf(nil, text, args...), "test")
	if err != nil {
		t.Fatal(err)
	}
	return New(nil, info, outputs.NewNilObserver(), cfg)
}

func oneClient(t testing.TB, text string, args ...any) outputs.NetworkClient {
	t.Helper()
	g, err := group(t, text, args...)
	if err != nil {
		t.Fatal(err)
	}
	c := g.Clients[0].(outputs.NetworkClient)
	t.Cleanup(func() { c.Close() })
	return c
}

func connected(t testing.TB, text string, args ...any) outputs.NetworkClient {
	t.Helper()
	c := oneClient(t, text, args...)
	if err := c.Connect(); err != nil {
		t.Fatal(err)
	}
	return c
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// window reads one window and returns its number of events and the bytes of the frames, uncompressed or not.
func window(r io.Reader) (count int, frames []byte, err error) {
	var h [6]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return 0, nil, err
	}
	count = int(binary.BigEndian.Uint32(h[2:]))
	if string(h[:2]) != "2W" {
		return 0, nil, fmt.Errorf("frame %q", h)
	}
	for n := 0; n < count; n++ {
		if _, err := io.ReadFull(r, h[:2]); err != nil {
			return 0, nil, err
		}
		size := h[2:6]
		if h[1] == 'C' {
			n = count
		} else if _, err := io.ReadFull(r, size); err != nil { // the sequence
			return 0, nil, err
		}
		if _, err := io.ReadFull(r, size); err != nil {
			return 0, nil, err
		}
		body := make([]byte, binary.BigEndian.Uint32(size))
		if _, err := io.ReadFull(r, body); err != nil {
			return 0, nil, err
		}
		frames = append(frames, body...)
	}
	return count, frames, nil
}

func ack(w io.Writer, seq int) error {
	_, err := w.Write(binary.BigEndian.AppendUint32([]byte("2A"), uint32(seq)))
	return err
}

// serve runs f for every connection.
func serve(t testing.TB, f func(net.Conn)) string {
	l := listen(t)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				f(c)
			}()
		}
	}()
	return l.Addr().String()
}

// events are lines numbered from a number on.
func events(from, n int) []beat.Event {
	out := make([]beat.Event, n)
	for i := range out {
		out[i] = beat.Event{Timestamp: time.Unix(1, 0), Fields: common.MapStr{"message": fmt.Sprint("line ", from+i)}}
	}
	return out
}

// bundled are the same lines as one event.
func bundled(from, n int) beat.Event {
	b := &bundle.Bundle{Source: "file:a"}
	for i := from; i < from+n; i++ {
		b.Lines = append(b.Lines, bundle.Line{From: int64(i), To: int64(i) + 1, Message: fmt.Sprint("line ", i)})
	}
	return beat.Event{Timestamp: time.Unix(1, 0), Fields: common.MapStr{"log": common.MapStr{}}, Private: b}
}

func control() beat.Event {
	return beat.Event{Timestamp: time.Unix(1, 0), Meta: common.MapStr{"tally": common.MapStr{"control": "complete", "source": "s", "from": 0, "to": 7}}}
}

// batch is a batch whose fate can be waited for.
type batch struct {
	*outest.Batch
	fate chan string
}

// newBatch tells its fate as "ACK", "Cancelled", or the messages of what goes back, comma-separated.
func newBatch(in ...beat.Event) *batch {
	b := &batch{outest.NewBatch(in...), make(chan string, 1)}
	b.OnSignal = func(s outest.BatchSignal) {
		switch s.Tag {
		case outest.BatchACK:
			b.fate <- "ACK"
		case outest.BatchCancelled:
			b.fate <- "Cancelled"
		case outest.BatchRetryEvents:
			var lines []string
			for _, e := range bundle.Expand(s.Events) {
				m, _ := e.Content.Fields["message"].(string)
				lines = append(lines, strings.TrimPrefix(m, "line "))
			}
			b.fate <- strings.Join(lines, ",")
		default:
			b.fate <- fmt.Sprint("signal ", s.Tag)
		}
	}
	return b
}

func (b *batch) wait(t testing.TB, want string) {
	t.Helper()
	select {
	case got := <-b.fate:
		if got != want {
			t.Errorf("the batch ended with %q, want %q", got, want)
		}
	case <-time.After(patience):
		t.Fatalf("the batch has no end; want %q", want)
	}
}
