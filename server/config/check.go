package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/tallylog/tally/server/storage/elasticsearch/indices"
)

// Check tells what is impossible in c, for values that came from flags.
func (c *Config) Check() error {
	if key, err := c.check(); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// check returns the key and what is wrong with it.
func (c *Config) check() (string, error) {
	for key, addr := range map[string]string{"http.address": c.HTTP.Address, "lumberjack.address": c.Lumberjack.Address} {
		if addr == "" && key == "lumberjack.address" {
			continue
		}
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return key, fmt.Errorf("%q is no address like 127.0.0.1:5080", addr)
		}
	}
	if u, err := url.Parse(c.HTTP.PublicURL); c.HTTP.PublicURL != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.User != nil || u.Fragment != "") {
		return "http.public_url", fmt.Errorf("%q is no URL like https://tally.example", c.HTTP.PublicURL)
	}
	if c.HTTP.AgentImage == "" {
		return "http.agent_image", fmt.Errorf("it is empty")
	}
	for key, t := range map[string]TLS{"http.tls": c.HTTP.TLS, "lumberjack.tls": c.Lumberjack.TLS} {
		if (t.Certificate == "") != (t.Key == "") {
			return key, fmt.Errorf("certificate and key go together")
		}
		if t.ClientAuthorities != "" && t.Certificate == "" {
			return key, fmt.Errorf("client_authorities needs certificate and key")
		}
	}
	// Lumberjack has no passwords: beyond loopback a client certificate, or a named network, is the only protection.
	if c.Lumberjack.Address != "" && !loopback(c.Lumberjack.Address) && c.Lumberjack.TLS.ClientAuthorities == "" && len(c.Auth.Networks) == 0 {
		return "lumberjack.address", fmt.Errorf("%q is open beyond this machine without authentication: set lumberjack.tls.client_authorities, or name the networks allowed in auth.networks", c.Lumberjack.Address)
	}
	if len(c.Auth.Certificates) > 0 && c.Lumberjack.TLS.ClientAuthorities == "" {
		return "auth.certificates", fmt.Errorf("clients are not asked for a certificate: set lumberjack.tls.client_authorities")
	}
	for name, r := range c.Limits.Tenants {
		if r.bad() {
			return "limits.tenants." + name, fmt.Errorf("the value is too small")
		}
	}
	if c.Limits.Default.bad() {
		return "limits.default", fmt.Errorf("the value is too small")
	}
	if key, err := c.checkStorage(); err != nil {
		return key, err
	}
	if i, err := c.Retention.Classes().Check(); err != nil {
		return fmt.Sprintf("retention.rules[%d]", i), err
	}
	if r := &c.Retention; r.Ledger != 0 && r.Ledger <= r.longest() {
		return "retention.ledger", fmt.Errorf("the account must be kept longer than the lines (retention.age), or lines sent again would be stored again")
	}
	if l := c.Log.Level; l != "debug" && l != "info" && l != "warn" && l != "error" {
		return "log.level", fmt.Errorf("%q is none of debug, info, warn, error", l)
	}
	if f := c.Log.Format; f != "text" && f != "json" {
		return "log.format", fmt.Errorf("%q is none of text, json", f)
	}
	for key, n := range map[string]int64{
		"http.max_body": int64(c.HTTP.MaxBody) - 1, "http.max_inflated": int64(c.HTTP.MaxInflated) - 1, "buffer.memory": int64(c.Buffer.Memory) - 1<<20,
		"http.query_timeout": int64(c.HTTP.QueryTimeout) - 1, "buffer.checkpoint": int64(c.Buffer.Checkpoint) - int64(time.Second),
		"lumberjack.max_connections": int64(c.Lumberjack.MaxConnections) - 1,
		"buffer.max_size":            int64(c.Buffer.MaxBytes), "retention.age": int64(c.Retention.Age), "retention.size": int64(c.Retention.Size), "storage.min_free": int64(c.Storage.MinFree), "storage.dead_letters": int64(c.Storage.DeadLetters),
	} {
		if n < 0 {
			return key, fmt.Errorf("the value is too small")
		}
	}
	return "", nil
}

func (c *Config) checkStorage() (string, error) {
	if t := c.Storage.Type; t != "embedded" && t != "elasticsearch" {
		return "storage.type", fmt.Errorf("%q is not known; embedded and elasticsearch are", t)
	}
	if key, err := c.checkCluster(); err != nil {
		return key, err
	}
	if c.Storage.Type == "embedded" {
		return "", nil
	}
	e, at := &c.Storage.Elasticsearch, "storage.elasticsearch."
	if len(e.Addresses) == 0 {
		return at + "addresses", fmt.Errorf("at least one address of Elasticsearch is needed")
	}
	for _, a := range e.Addresses {
		if u, err := url.Parse(a); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
			return at + "addresses", fmt.Errorf("%q is no address like https://node:9200", a)
		}
	}
	names, err := indices.Parse(e.Index)
	if err != nil {
		return at + "index", err
	}
	if r := &c.Retention; !names.Dated() && (r.longest() > 0 || r.Size > 0 || len(r.Rules) > 0) {
		return "retention", fmt.Errorf("indices are deleted as wholes, and in storage.elasticsearch.index, %q, no year says when one is old: add %%{+yyyy.MM.dd}", e.Index)
	}
	switch {
	case (e.Username == "") != (e.Password == ""):
		return at + "username", fmt.Errorf("username and password go together")
	case e.APIKey != "" && e.Username != "":
		return at + "api_key", fmt.Errorf("either an API key or a user can be given")
	case (e.Certificate == "") != (e.Key == ""):
		return at + "certificate", fmt.Errorf("certificate and key go together")
	case e.Shards < 1:
		return at + "shards", fmt.Errorf("the value is too small")
	case e.Replicas < 0:
		return at + "replicas", fmt.Errorf("the value is too small")
	case e.Requests < 1:
		return at + "requests", fmt.Errorf("the value is too small")
	}
	return "", nil
}

func (c *Config) checkCluster() (string, error) {
	x, at := &c.Storage.Cluster, "storage.cluster."
	if x.Lease < Duration(time.Second) {
		return at + "lease", fmt.Errorf("the value is too small")
	}
	if x.Address == "" {
		if x.Name != "" || x.Authorities != "" {
			return at + "address", fmt.Errorf("it is missing: the URL at which the other servers reach this one")
		}
		return "", nil
	}
	if u, err := url.Parse(x.Address); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return at + "address", fmt.Errorf("%q is no URL like http://tally-1:5080", x.Address)
	}
	if c.Storage.Type != "elasticsearch" {
		return "storage.type", fmt.Errorf("several servers share an Elasticsearch; with %q there can be one", c.Storage.Type)
	}
	return "", nil
}

func (r Rates) bad() bool { return r.EventsPerSecond < 0 || r.BytesPerSecond < 0 || r.BytesPerDay < 0 }

// InClear tells whether passwords and tokens travel beyond this machine without TLS.
func (h HTTP) InClear() bool { return h.TLS.Certificate == "" && !loopback(h.Address) }

func loopback(addr string) bool {
	host, _, _ := net.SplitHostPort(addr)
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
