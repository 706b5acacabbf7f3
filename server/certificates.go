package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tallylog/tally/server/config"
)

// certificateLook is the time between looks at whether the files of a certificate have changed.
const certificateLook = 10 * time.Second

// certificate is the TLS configuration of a listener as its files are now.
type certificate struct {
	files config.TLS
	log   *slog.Logger
	now   atomic.Pointer[tls.Config]
	mu    sync.Mutex
	seen  string // state of the files when they were last read, soundly or not
}

// newCertificate reads the files; nil means plain TCP.
func newCertificate(files config.TLS, log *slog.Logger) (*certificate, error) {
	if files.Certificate == "" {
		return nil, nil
	}
	c := &certificate{files: files, log: log, seen: state(files)}
	t, err := load(files)
	if err != nil {
		return nil, err
	}
	c.now.Store(t)
	return c, nil
}

func load(c config.TLS) (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(c.Certificate, c.Key)
	if err != nil {
		return nil, fmt.Errorf("cannot load certificate %q: %w", c.Certificate, err)
	}
	t := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if c.ClientAuthorities != "" {
		pem, err := os.ReadFile(c.ClientAuthorities)
		if err != nil {
			return nil, fmt.Errorf("cannot read client authorities: %w", err)
		}
		t.ClientCAs = x509.NewCertPool()
		if !t.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%q holds no PEM certificate", c.ClientAuthorities)
		}
		t.ClientAuth = tls.RequireAndVerifyClientCert
		// A session that is taken up again was verified by the authorities of its beginning, which may be gone.
		t.SessionTicketsDisabled = true
	}
	return t, nil
}

// config is what a listener needs: each new connection gets what is loaded then. It is nil for a nil certificate.
func (c *certificate) config() *tls.Config {
	if c == nil {
		return nil
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.now.Load(), nil },
	}
}

// state tells whether files have changed. It follows links, which is how mounted secrets change.
func state(c config.TLS) (s string) {
	for _, name := range []string{c.Certificate, c.Key, c.ClientAuthorities} {
		if st, err := os.Stat(name); err == nil {
			s += fmt.Sprintln(st.ModTime().UnixNano(), st.Size())
		} else {
			s += "gone\n"
		}
	}
	return s
}

// reload reads the files again, where they have changed or it must. What is broken is logged, and the old one stays.
func (c *certificate) reload(must bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := state(c.files) // before reading: a change in between is seen the next time
	if s == c.seen && !must {
		return
	}
	c.seen = s
	t, err := load(c.files)
	if err != nil {
		c.log.Error("the new TLS files are broken; the old certificate stays in use", "certificate", c.files.Certificate, "error", err)
		return
	}
	c.now.Store(t)
	c.log.Info("TLS certificate loaded", "certificate", c.files.Certificate)
}

// reloadCertificates keeps them as their files are, until ctx is done. On Options.Reload they are read at once.
func (s *Server) reloadCertificates(ctx context.Context) {
	tick := time.NewTicker(certificateLook)
	defer tick.Stop()
	for {
		must := false
		select {
		case <-ctx.Done():
			return
		case <-s.o.Reload:
			must = true
			s.reloadPipelines()
		case <-tick.C:
		}
		for _, c := range []*certificate{s.httpTLS, s.ljTLS} {
			if c != nil {
				c.reload(must)
			}
		}
	}
}
