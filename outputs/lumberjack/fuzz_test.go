package lumberjack

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

// FuzzAnswers: whatever a peer answers to a window of five events before it hangs up, the batch ends once, and only what was
// really acknowledged is not given back.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte("2A\x00\x00\x00\x05"))
	f.Add([]byte("2A\x00\x00\x00\x02" + "2A\x00\x00\x00\x00" + "2A\x00\x00\x00\x04"))
	f.Add([]byte("2A\x00\x00\x00\x03" + "1A\x00\x00\x00\x05"))
	f.Add([]byte("2A\x80\x00\x00\x00"))
	f.Add([]byte("2A\x00\x00\x00"))
	answers := make(chan []byte, 1)
	addr := serve(f, func(c net.Conn) {
		if ack(c, 0) != nil {
			return
		}
		if _, _, err := window(c); err != nil {
			return
		}
		_, _ = c.Write(<-answers)
		// Closing with unread bytes would reset the connection, and the client might not see the answer.
		_ = c.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, c)
	})
	f.Fuzz(func(t *testing.T, answer []byte) {
		acked := 0
		for b := answer; len(b) >= 6 && acked < 5 && b[0] == '2' && b[1] == 'A'; b = b[6:] {
			n := binary.BigEndian.Uint32(b[2:])
			if n > 5 {
				break
			}
			acked = max(acked, int(n))
		}
		want := "ACK"
		if acked < 5 {
			var rest []string
			for i := acked; i < 5; i++ {
				rest = append(rest, fmt.Sprint(i))
			}
			want = strings.Join(rest, ",")
		}
		c := connected(t, `{hosts: [%q]}`, addr)
		answers <- answer
		b := newBatch(events(0, 5)...)
		if err := c.Publish(context.Background(), b); err != nil {
			t.Fatal(err)
		}
		b.wait(t, want)
	})
}
