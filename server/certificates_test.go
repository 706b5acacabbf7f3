package server

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tallylog/tally/server/config"
)

// authority signs certificates.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	a := &authority{t: t}
	der, key := a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "an authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	a.key = key
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

// sign makes a certificate for an hour, where it has no other end, and its key. The first one signs itself.
func (a *authority) sign(c *x509.Certificate) ([]byte, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	if c.SerialNumber == nil {
		c.SerialNumber = big.NewInt(time.Now().UnixNano())
	}
	if c.NotAfter.IsZero() {
		c.NotAfter = time.Now().Add(time.Hour)
	}
	c.NotBefore = c.NotAfter.Add(-2 * time.Hour)
	parent, by := a.cert, a.key
	if parent == nil {
		parent, by = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, by)
	if err != nil {
		a.t.Fatal(err)
	}
	return der, key
}

// client makes the certificate of a client.
func (a *authority) client(name string, until time.Time) tls.Certificate {
	a.t.Helper()
	der, key := a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: name}, NotAfter: until, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// server writes a certificate for 127.0.0.1 with that serial number into dir.
func (a *authority) server(dir string, serial int64) config.TLS {
	a.t.Helper()
	der, key := a.sign(&x509.Certificate{SerialNumber: big.NewInt(serial), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	plain, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	c := config.TLS{Certificate: filepath.Join(dir, "server.pem"), Key: filepath.Join(dir, "server.key"), ClientAuthorities: filepath.Join(dir, "ca.pem")}
	for file, block := range map[string]*pem.Block{
		c.Certificate: {Type: "CERTIFICATE", Bytes: der}, c.Key: {Type: "PRIVATE KEY", Bytes: plain}, c.ClientAuthorities: {Type: "CERTIFICATE", Bytes: a.cert.Raw},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	return c
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// lumberjackAck reads one acknowledgement.
func lumberjackAck(c net.Conn) (uint32, error) {
	var b [6]byte
	_ = c.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(c, b[:]); err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint32(b[2:]), nil
}

// sendLumberjack sends one window and waits for its acknowledgement, after the greeting.
func sendLumberjack(c net.Conn, events ...string) error {
	if n, err := lumberjackAck(c); err != nil || n != 0 {
		return fmt.Errorf("greeting of %d: %w", n, err)
	}
	b := binary.BigEndian.AppendUint32([]byte("2W"), uint32(len(events)))
	for i, e := range events {
		b = binary.BigEndian.AppendUint32(append(b, "2J"...), uint32(i+1))
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(e))), e...)
	}
	if _, err := c.Write(b); err != nil {
		return err
	}
	for {
		if n, err := lumberjackAck(c); err != nil || int(n) == len(events) {
			return err
		}
	}
}

// TestClientCertificates: a client's certificate, and nothing else, says which tenant its events belong to.
func TestClientCertificates(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	r := runWith(t, t.TempDir(), func(o *Options) {
		o.Config.Lumberjack.TLS = ca.server(t.TempDir(), 1)
		o.Config.Auth.Certificates = []config.Certificate{{Name: "*.team-a", Tenant: "team-a"}, {Name: "ghost", Tenant: "ghost"}, {Name: "node-*", Tenant: "default"}}
	})
	if code, text, _ := r.do("POST", "/api/v1/tenants", `{"name":"team-a"}`); code != 200 {
		t.Fatal(code, text)
	}
	try := func(message string, certs ...tls.Certificate) error {
		c, err := tls.Dial("tcp", r.lj, &tls.Config{RootCAs: ca.pool(), Certificates: certs})
		if err != nil {
			return err
		}
		defer c.Close()
		return sendLumberjack(c, fmt.Sprintf(`{"message":%q,"@metadata":{"tally":{"source":"s","from":0,"to":1,"skipped":0,"sum":"1"}}}`, message))
	}
	in, past := time.Now().Add(time.Hour), time.Now().Add(-time.Minute)
	for name, cert := range map[string][]tls.Certificate{
		"no certificate":             nil,
		"expired":                    {ca.client("node-1.team-a", past)},
		"signed by a stranger":       {stranger.client("node-1.team-a", in)},
		"nothing matches":            {ca.client("printer", in)},
		"a tenant that is not there": {ca.client("ghost", in)},
		"no name":                    {ca.client("", in)},
	} {
		if err := try("refused", cert...); err == nil {
			t.Errorf("%s: the events are taken", name)
		}
	}
	if c, err := net.Dial("tcp", r.lj); err == nil {
		if err := sendLumberjack(c, `{"message":"refused"}`); err == nil {
			t.Error("without TLS: the events are taken")
		}
		c.Close()
	}
	if err := try("of team a", ca.client("node-1.team-a", in)); err != nil {
		t.Fatal(err)
	}
	if err := try("of the default", ca.client("node-1", in)); err != nil {
		t.Fatal(err)
	}
	r.count(`"of the default"`, 1)
	r.count("*", 1)
	team := []string{"Authorization", "Bearer " + r.token(`{"name":"t","role":"reader","tenant":"team-a"}`)}
	ans := ""
	for end := time.Now().Add(patience); ans == "" && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		_, ans, _ = r.do("GET", "/api/v1/query", "", team...)
	}
	if strings.Count(ans, "\n") != 1 || !strings.Contains(ans, "of team a") {
		t.Errorf("team-a has %s", ans)
	}
	if _, ans, _ := r.do("GET", "/api/v1/sources", "", team...); !strings.Contains(ans, `"client":"cert:node-1.team-a"`) {
		t.Errorf("the account of team-a: %s", ans)
	}
}

// lines is a log that can be read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.buf.Write(b) }
func (l *lines) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), s)
}

// TestCertificateReload: new connections on both ports get a new certificate once it is there; those that stand go on; broken
// files change nothing.
func TestCertificateReload(t *testing.T) {
	ca := newAuthority(t)
	dir := t.TempDir()
	reload := make(chan os.Signal)
	var log lines
	r := runWith(t, t.TempDir(), func(o *Options) {
		o.Config.Lumberjack.TLS = ca.server(dir, 1)
		o.Config.HTTP.TLS = config.TLS{Certificate: o.Config.Lumberjack.TLS.Certificate, Key: o.Config.Lumberjack.TLS.Key}
		o.Reload, o.Log = reload, slog.New(slog.NewTextHandler(&log, nil))
	})
	web := strings.TrimPrefix(r.url, "http://")
	node := ca.client("node", time.Now().Add(time.Hour))
	dial := func(addr string) *tls.Conn {
		t.Helper()
		c, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: ca.pool(), Certificates: []tls.Certificate{node}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	serials := func(want int64) {
		t.Helper()
		for _, addr := range []string{web, r.lj} {
			c := dial(addr)
			if got := c.ConnectionState().PeerCertificates[0].SerialNumber.Int64(); got != want {
				t.Errorf("%s shows certificate %d, want %d", addr, got, want)
			}
			c.Close()
		}
	}
	serials(1)
	standing := dial(r.lj)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.pool()}}}
	health := func() (serial int64) {
		t.Helper()
		resp, err := client.Get("https://" + web + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		return resp.TLS.PeerCertificates[0].SerialNumber.Int64()
	}
	health()
	for i, c := range []struct {
		write  func()
		serial int64
		logged string // by both listeners
	}{
		{func() { ca.server(dir, 2) }, 2, "TLS certificate loaded"},
		{func() { _ = os.WriteFile(filepath.Join(dir, "server.pem"), []byte("broken"), 0o600) }, 2, "the old certificate stays in use"},
		{func() { _ = os.Remove(filepath.Join(dir, "server.key")) }, 2, "the old certificate stays in use"},
		{func() { ca.server(dir, 3) }, 3, "TLS certificate loaded"},
	} {
		before := log.count(c.logged)
		c.write()
		reload <- os.Interrupt
		for end := time.Now().Add(patience); log.count(c.logged) < before+2; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("step %d is not logged as %q", i, c.logged)
			}
		}
		serials(c.serial)
	}
	if err := sendLumberjack(standing, `{"message":"a"}`); err != nil {
		t.Errorf("the connection that stood: %v", err)
	}
	if n := health(); n != 1 {
		t.Errorf("the HTTP connection was not kept: certificate %d", n)
	}
}

// TestCertificateChanges: changes of the files are noticed without being told, once each; another authority counts at once.
func TestCertificateChanges(t *testing.T) {
	ca := newAuthority(t)
	dir := t.TempDir()
	var log lines
	c, err := newCertificate(ca.server(dir, 1), slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	first := c.now.Load()
	c.reload(false)
	if c.now.Load() != first {
		t.Error("what has not changed is loaded again")
	}
	newAuthority(t).server(dir, 2)
	// The file system's clock may be coarse.
	if err := os.Chtimes(c.files.Key, time.Time{}, time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	c.reload(false)
	second := c.now.Load()
	if second == first || second.ClientCAs.Equal(first.ClientCAs) {
		t.Error("the change is not noticed")
	}
	if err := os.Truncate(c.files.Key, 10); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		c.reload(false)
	}
	if n := log.count("the old certificate stays in use"); c.now.Load() != second || n != 1 {
		t.Errorf("a broken key is logged %d times, or taken", n)
	}
	if _, err := newCertificate(c.files, nil); err == nil {
		t.Error("a server starts with a broken key")
	}
}
