package lumberjack

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	libtesting "github.com/elastic/beats/v7/libbeat/testing"
)

// TLS with a peer that greets and with one that does not: the wait for the greeting leaves the connection whole.
func TestTLS(t *testing.T) {
	keys := httptest.NewTLSServer(nil)
	defer keys.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	var text bytes.Buffer
	if err := pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: keys.Certificate().Raw}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ca, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for peer, greets := range map[string]bool{"Tally": true, "Lumberjack v2": false} {
		addr := serve(t, func(raw net.Conn) {
			c := tls.Server(raw, &tls.Config{Certificates: keys.TLS.Certificates})
			defer c.Close()
			if c.Handshake() != nil || greets && ack(c, 0) != nil {
				return
			}
			for {
				n, _, err := window(c)
				if err != nil || ack(c, n) != nil {
					return
				}
			}
		})
		c := oneClient(t, `{hosts: [%q], ssl.certificate_authorities: [%q]}`, addr, ca)
		var said bytes.Buffer
		c.(libtesting.Testable).Test(libtesting.NewConsoleDriverWithKiller(&said, func() {}))
		if !strings.Contains(said.String(), "peer: "+peer) {
			t.Errorf("test output says %s", said.String())
		}
		if err := c.Connect(); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			b := newBatch(events(5*i, 5)...)
			if err := c.Publish(context.Background(), b); err != nil {
				t.Fatal(err)
			}
			b.wait(t, "ACK")
		}
		if err := oneClient(t, `{hosts: [%q], ssl.enabled: true, backoff: {init: 1ms, max: 1ms}}`, addr).Connect(); err == nil {
			t.Error(fmt.Sprint("a peer of an unknown authority is trusted: ", peer))
		}
	}
}
