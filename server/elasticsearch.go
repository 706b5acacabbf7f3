package server

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/tallylog/tally/server/config"
	"github.com/tallylog/tally/server/storage"
	"github.com/tallylog/tally/server/storage/elasticsearch"
	"github.com/tallylog/tally/server/storage/transfer"
)

// openElasticsearch makes the store that the configuration describes. It does not wait for the cluster.
func (s *Server) openElasticsearch() (storage.Store, error) {
	if transfer.Pending(s.o.Dir) {
		s.o.Log.Warn("the events of the embedded store are not, or not all, in Elasticsearch, and not found by searches; tally storage copy moves them", "dir", filepath.Join(s.o.Dir, "store"))
	}
	o, err := s.elasticsearch()
	if err != nil {
		return nil, err
	}
	return elasticsearch.Open(o)
}

// elasticsearch are the options of the store, which are also the way to what servers share.
func (s *Server) elasticsearch() (o elasticsearch.Options, err error) {
	if o, err = ElasticsearchOptions(&s.o.Config, s.tenantName, s.o.Log); err != nil {
		return o, err
	}
	if s.o.Config.Storage.Cluster.Address != "" {
		o.Server, err = serverID(s.o.Dir)
	}
	return o, err
}

// ElasticsearchOptions are those of the store that a configuration describes. The PEM files it names are read.
func ElasticsearchOptions(cfg *config.Config, names func(uint32) string, log *slog.Logger) (elasticsearch.Options, error) {
	c, r := &cfg.Storage.Elasticsearch, &cfg.Retention
	o := elasticsearch.Options{
		Addresses: c.Addresses, Index: c.Index, Username: c.Username, Password: c.Password, APIKey: c.APIKey,
		Shards: c.Shards, Replicas: c.Replicas, Requests: c.Requests,
		Retention: time.Duration(r.Age), MaxBytes: int64(r.Size), Rules: r.Classes(), TenantName: names, Log: log,
	}
	if c.Authorities != "" || c.Certificate != "" {
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if c.Authorities != "" {
		pem, err := os.ReadFile(c.Authorities)
		if err != nil {
			return o, fmt.Errorf("cannot read storage.elasticsearch.authorities: %w", err)
		}
		o.TLS.RootCAs = x509.NewCertPool()
		if !o.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return o, fmt.Errorf("cannot use storage.elasticsearch.authorities: %q holds no certificate", c.Authorities)
		}
	}
	if c.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(c.Certificate, c.Key)
		if err != nil {
			return o, fmt.Errorf("cannot use storage.elasticsearch.certificate: %w", err)
		}
		o.TLS.Certificates = []tls.Certificate{pair}
	}
	return o, nil
}
