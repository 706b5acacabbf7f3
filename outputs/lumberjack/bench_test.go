package lumberjack

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	libbeat "github.com/elastic/beats/v7/libbeat/outputs"
	_ "github.com/elastic/beats/v7/libbeat/outputs/logstash"
	"github.com/elastic/beats/v7/libbeat/outputs/outest"
)

// BenchmarkOutput is our output and libbeat's, each sending the same events to a sink that only counts and acknowledges.
// events/CPU-s is for the whole process, the sink included.
func BenchmarkOutput(b *testing.B) {
	addr := serve(b, func(c net.Conn) {
		var h [12]byte
		for {
			if _, err := io.ReadFull(c, h[:]); err != nil {
				return
			}
			if _, err := io.CopyN(io.Discard, c, int64(binary.BigEndian.Uint32(h[8:]))); err != nil {
				return
			}
			if ack(c, int(binary.BigEndian.Uint32(h[2:6]))) != nil {
				return
			}
		}
	})
	const size = 2048
	in := make([]beat.Event, size)
	words := strings.Fields("GET POST /index.html /api/v1/users 200 404 error timeout while reading upstream response 10.1.2.3 curl/8 keepalive")
	for i := range in {
		var m strings.Builder
		for k := i; m.Len() < 193; k = (7*k + 3) % 9973 {
			m.WriteString(words[k%len(words)])
			m.WriteByte(byte(' ' + k%3*16))
		}
		from := int64(194 * i)
		in[i] = beat.Event{
			Timestamp: time.Now().Add(time.Duration(i) * time.Millisecond),
			Meta:      common.MapStr{"tally": common.MapStr{"source": "f:0123456789abcdef0123456789abcdef", "from": from, "to": from + 194, "skipped": int64(0), "sum": "0123456789abcdef"}},
			Fields: common.MapStr{
				"message": m.String()[:193], "log": common.MapStr{"offset": from, "file": common.MapStr{"path": "/var/log/app.log"}},
				"input": common.MapStr{"type": "log"}, "ecs": common.MapStr{"version": "1.12.0"}, "host": common.MapStr{"name": "node-1"},
				"agent": common.MapStr{"id": "7b0b5d4f-0d3c-4ad1-9fd3-8ed01acb4ce8", "name": "node-1", "type": "filebeat", "version": "7.17.29", "hostname": "node-1", "ephemeral_id": "9f0d9d5a-6a54-47d4-a3f6-d77eed04d0f0"},
			},
		}
	}
	run := func(name string, make libbeat.Factory) {
		b.Run(name, func(b *testing.B) {
			cfg := common.MustNewConfigFrom(map[string]any{"hosts": []string{addr}, "compression_level": 3})
			g, err := make(nil, info, libbeat.NewNilObserver(), cfg)
			if err != nil {
				b.Fatal(err)
			}
			c := g.Clients[0].(libbeat.NetworkClient)
			if err := c.Connect(); err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			var acked sync.WaitGroup
			b.ReportAllocs()
			before := cpu()
			n := 0
			for b.Loop() {
				batch := outest.NewBatch(in...)
				acked.Add(1)
				batch.OnSignal = func(s outest.BatchSignal) {
					if s.Tag != outest.BatchACK {
						b.Errorf("signal %v", s.Tag)
					}
					acked.Done()
				}
				if err := c.Publish(context.Background(), batch); err != nil {
					b.Fatal(err)
				}
				n += size
			}
			acked.Wait()
			b.ReportMetric(float64(n)/(cpu()-before).Seconds(), "events/CPU-s")
		})
	}
	run("ours", New)
	run("libbeat", libbeat.FindFactory("logstash"))
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
