package elasticsearch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/tallylog/tally/server/storage"
)

// TestTLS reaches the node through a door that wants TLS with a client certificate, and credentials; the first address answers nobody.
func TestTLS(t *testing.T) {
	to, err := url.Parse(cluster.Addresses[0])
	if err != nil {
		t.Fatal(err)
	}
	pass := httputil.NewSingleHostReverseProxy(to)
	door := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if !strings.EqualFold(r.Header.Get("Authorization"), "ApiKey a2V5") && (user != "tally" || password != "secret") {
			(*fails(401, "security_exception", "missing authentication credentials"))(w, r)
			return
		}
		pass.ServeHTTP(w, r)
	}))
	door.Config.ErrorLog = log.New(io.Discard, "", 0)
	door.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	door.StartTLS()
	t.Cleanup(door.Close)
	roots := x509.NewCertPool()
	roots.AddCert(door.Certificate())
	f := func(change func(o *Options), want string) {
		t.Helper()
		o := options(t.Name())
		o.Addresses = []string{"https://127.0.0.1:1", door.URL}
		o.TLS = &tls.Config{RootCAs: roots, Certificates: door.TLS.Certificates}
		change(&o)
		s := open(t, o)
		_, err := s.Count(context.Background(), storage.Search{})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	f(func(o *Options) { o.APIKey = "a2V5" }, "")
	f(func(o *Options) { o.Username, o.Password = "tally", "secret" }, "")
	f(func(o *Options) { o.Username, o.Password = "tally", "guess" }, "refuses the credentials")
	f(func(o *Options) { o.TLS = &tls.Config{Certificates: door.TLS.Certificates} }, "certificates")
	f(func(o *Options) { o.TLS = &tls.Config{RootCAs: roots} }, "Elasticsearch")
}
