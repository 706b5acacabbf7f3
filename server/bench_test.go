package server

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkLumberjackToDurable sends windows of 2,048 events of a usual agent over two connections, and waits until the
// store has everything durably. It reports rows per CPU-second of the whole process.
func BenchmarkLumberjackToDurable(b *testing.B) { toDurable(b, "tally") }

// BenchmarkWithoutLedger is the same for events without positions: no account, nothing to recognize a line by. The difference is what
// exactly once costs.
func BenchmarkWithoutLedger(b *testing.B) { toDurable(b, "telly") }

func toDurable(b *testing.B, key string) {
	const windows, size = 100, 2048
	sent := make([][]byte, windows)
	for i := range sent {
		sent[i] = agentWindow(i, size, key)
	}
	var used time.Duration
	for b.Loop() {
		r := run(b, b.TempDir())
		before := cpu()
		errs := make(chan error, 2)
		for c := range 2 {
			go func() { errs <- send(r.lj, sent[c*windows/2:(c+1)*windows/2]) }()
		}
		for range 2 {
			if err := <-errs; err != nil {
				b.Fatal(err)
			}
		}
		want := fmt.Sprintf(`{"count":%d}`, windows*size)
		for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
			if _, ans, _ := r.do("GET", "/api/v1/count?query=*", ""); strings.TrimSpace(ans) == want {
				break
			} else if time.Now().After(deadline) {
				b.Fatalf("%s, want %s", ans, want)
			}
		}
		if err := r.stop(); err != nil {
			b.Fatal(err)
		}
		used += cpu() - before
	}
	b.ReportMetric(float64(b.N*windows*size)/used.Seconds(), "rows/cpu-s")
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func send(addr string, windows [][]byte) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, w := range windows {
		if _, err := c.Write(w); err != nil {
			return err
		}
		for n := uint32(0); n == 0; {
			var ack [6]byte
			if _, err := io.ReadFull(c, ack[:]); err != nil {
				return err
			}
			n = binary.BigEndian.Uint32(ack[2:])
		}
	}
	return nil
}

// agentWindow is a compressed window as an agent sends it, the positions under a key of @metadata.
func agentWindow(n, size int, key string) []byte {
	var frames bytes.Buffer
	at := time.Now().Add(-time.Hour)
	for i := range size {
		k := n*size + i
		pod := k % 50
		doc := fmt.Sprintf(`{"@timestamp":"%s","@metadata":{"beat":"tallybeat","type":"_doc","version":"7.17.29","%s":{"source":"file:%032x","from":%d,"to":%d,"skipped":0,"sum":"%016x"}},"message":"INFO [worker-%02d] request %016x for /api/v2/orders/%d took %d ms, status %d","level":"INFO","log":{"offset":%d,"file":{"path":"/k8spods/pod-%d/volumes/kubernetes.io~empty-dir/applog-main/app.log"}},"input":{"type":"applog"},"host":{"name":"node-%d"},"agent":{"type":"tallybeat","version":"7.17.29","hostname":"node-1","id":"12345678-1234-1234-1234-123456789012","name":"node-1"},"ecs":{"version":"1.12.0"},"kubernetes":{"namespace":"team-%d","pod":{"name":"shop-%d"},"container":{"name":"main"}}}`,
			at.Add(time.Duration(k)*time.Millisecond).UTC().Format("2006-01-02T15:04:05.000Z"), key, pod, k/50*200, k/50*200+200, k*7919, k%64, uint64(k)*0x9e3779b97f4a7c15, k*31%500000, k%900, 200+k%5*50,
			k/50*200, pod, pod%10, pod%20, pod)
		frames.Write([]byte{'2', 'J'})
		_ = binary.Write(&frames, binary.BigEndian, uint32(i+1))
		_ = binary.Write(&frames, binary.BigEndian, uint32(len(doc)))
		frames.WriteString(doc)
	}
	var z bytes.Buffer
	w, _ := zlib.NewWriterLevel(&z, 3)
	_, _ = w.Write(frames.Bytes())
	_ = w.Close()
	out := binary.BigEndian.AppendUint32([]byte{'2', 'W'}, uint32(size))
	out = binary.BigEndian.AppendUint32(append(out, '2', 'C'), uint32(z.Len()))
	return append(out, z.Bytes()...)
}
