package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tallylog/tally/server/config"
)

func TestCheckFiles(t *testing.T) {
	dir := t.TempDir()
	good := newAuthority(t).server(dir, 1)
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("no PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(change func(*config.Config), wantKey, want string) {
		t.Helper()
		c := config.Default()
		c.Storage.Type = "elasticsearch"
		change(&c)
		key, err := CheckFiles(&c)
		if key != wantKey || (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q, %v; want %q, %s", key, err, wantKey, want)
		}
	}
	f(func(*config.Config) {}, "", "")
	f(func(c *config.Config) { c.HTTP.TLS, c.Lumberjack.TLS = good, good }, "", "")
	f(func(c *config.Config) { c.HTTP.TLS = config.TLS{Certificate: "/none", Key: good.Key} }, "http.tls.certificate", "/none")
	f(func(c *config.Config) { c.HTTP.TLS = config.TLS{Certificate: good.Certificate, Key: text} }, "http.tls.certificate", text)
	f(func(c *config.Config) { c.Lumberjack.TLS = config.TLS{Certificate: text, Key: text} }, "lumberjack.tls.certificate", text)
	f(func(c *config.Config) { c.Lumberjack.TLS = good; c.Lumberjack.TLS.ClientAuthorities = text }, "lumberjack.tls.client_authorities", "no PEM certificate")
	f(func(c *config.Config) { c.HTTP.PublicCA = "/none" }, "http.public_ca", "/none")
	f(func(c *config.Config) { c.Storage.Elasticsearch.Certificate = "/none" }, "storage.elasticsearch.certificate", "/none")
	f(func(c *config.Config) { c.Storage.Elasticsearch.Authorities = text }, "storage.elasticsearch.authorities", "no PEM certificate")
	f(func(c *config.Config) { c.Storage.Cluster.Authorities = "/none" }, "storage.cluster.authorities", "/none")
	f(func(c *config.Config) { c.Storage.Type, c.Storage.Elasticsearch.Authorities = "embedded", text }, "", "")
}
