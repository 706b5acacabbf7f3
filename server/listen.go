package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/tallylog/tally/server/answer"
	"github.com/tallylog/tally/server/auth"
	"github.com/tallylog/tally/server/intake/lumberjack"
	"github.com/tallylog/tally/server/storage"
)

// serveHTTP answers until the server is closed.
func (s *Server) serveHTTP(l net.Listener) error {
	err := s.http.Serve(l)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("cannot serve HTTP: %w", err)
}

func (s *Server) listenHTTP() (net.Listener, error) {
	c := s.o.Config.HTTP
	var err error
	if s.httpTLS, err = newCertificate(c.TLS, s.o.Log); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", c.Address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for HTTP on %q: %w", c.Address, err)
	}
	starting := http.NewServeMux()
	s.health(starting)
	starting.Handle("/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer.Fail(w, &answer.Error{Status: http.StatusServiceUnavailable, Code: "starting", Message: "the server is starting", RetryAfter: 1})
	}))
	var first http.Handler = starting
	s.handler.Store(&first)
	s.http = &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*s.handler.Load()).ServeHTTP(w, r) }),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       5 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
	}
	if t := s.httpTLS.config(); t != nil {
		l = tls.NewListener(l, t)
	}
	return l, nil
}

// listenLumberjack returns nil where Lumberjack is switched off.
func (s *Server) listenLumberjack() (net.Listener, error) {
	addr := s.o.Config.Lumberjack.Address
	if addr == "" {
		return nil, nil
	}
	var err error
	if s.ljTLS, err = newCertificate(s.o.Config.Lumberjack.TLS, s.o.Log); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for Lumberjack on %q: %w", addr, err)
	}
	return l, nil
}

func (s *Server) makeLumberjack() {
	c := s.o.Config.Lumberjack
	s.lj = lumberjack.New(lumberjack.Options{
		Admit: s.limits, Pace: s.limits.Wait, Budget: s.budget, TLS: s.ljTLS.config(), Identify: s.identify, Clean: s.clean.Clean, MaxConnections: c.MaxConnections, Log: s.o.Log,
	})
}

// identify tells who is at the other end of a Lumberjack connection: whom its certificate stands for, else, on loopback and from
// the networks that the configuration names, the tenant "default".
func (s *Server) identify(c net.Conn) (lumberjack.Client, error) {
	if t, ok := c.(*tls.Conn); ok {
		if certs := t.ConnectionState().PeerCertificates; len(certs) > 0 {
			var list []auth.Mapping
			for _, m := range s.o.Config.Auth.Certificates {
				list = append(list, auth.Mapping(m))
			}
			p, err := s.auth.Certificate(list, certs[0].Subject.CommonName)
			return lumberjack.Client{Tenant: p.TenantID, Name: p.Name}, err
		}
	}
	p := auth.Loopback()
	client := lumberjack.Client{Tenant: p.TenantID, Name: p.Name}
	peer, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return client, fmt.Errorf("cannot tell the address of the peer: %w", err)
	}
	ip := peer.Addr().Unmap()
	if ip.IsLoopback() {
		return client, nil
	}
	for _, n := range s.o.Config.Auth.Networks {
		if n.Contains(ip) {
			return client, nil
		}
	}
	return client, errors.New("a client certificate is needed, or its network named in auth.networks")
}

// health answers whether the process lives, and whether it can answer queries.
func (s *Server) health(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer.JSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if !s.ready.Load() {
			answer.Fail(w, answer.Errorf(http.StatusServiceUnavailable, "not_ready", "the server is starting or stopping"))
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
		defer cancel()
		u, err := s.admit.Store().Usage(ctx)
		if err != nil {
			why := "the store does not answer"
			if gone := (*storage.Unavailable)(nil); errors.As(err, &gone) {
				why = gone.Reason
			}
			answer.Fail(w, answer.Errorf(http.StatusServiceUnavailable, "not_ready", "%s", why))
			return
		}
		state := map[string]any{"status": "ready"}
		if u.ReadOnly {
			state["waiting"] = u.ReadOnlyWhy // queries work; intake waits
		}
		answer.JSON(w, http.StatusOK, state)
	})
}

// notFound answers for addresses of the API that do not exist, with 405 where another method does.
func notFound(mux *http.ServeMux) http.HandlerFunc {
	const own = "/api/"
	return func(w http.ResponseWriter, r *http.Request) {
		var allowed []string
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			other := http.Request{Method: method, URL: r.URL, Host: r.Host}
			if _, pattern := mux.Handler(&other); pattern != own {
				allowed = append(allowed, method)
			}
		}
		if len(allowed) > 0 {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			answer.Fail(w, answer.Errorf(http.StatusMethodNotAllowed, "method_not_allowed", "there is no %s %.200s, but %s", r.Method, r.URL.Path, strings.Join(allowed, " and ")))
			return
		}
		answer.Fail(w, answer.Errorf(http.StatusNotFound, "not_found", "there is no %s %.200s", r.Method, r.URL.Path))
	}
}
