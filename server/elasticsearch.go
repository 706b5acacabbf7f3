package server

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"github.com/tallylog/tally/server/storage"
	"github.com/tallylog/tally/server/storage/elasticsearch"
)

// openElasticsearch makes the store that the configuration describes. It does not wait for the cluster.
func (s *Server) openElasticsearch() (storage.Store, error) {
	c, r := &s.o.Config.Storage.Elasticsearch, &s.o.Config.Retention
	o := elasticsearch.Options{
		Addresses: c.Addresses, Index: c.Index, Username: c.Username, Password: c.Password, APIKey: c.APIKey,
		Shards: c.Shards, Replicas: c.Replicas, Requests: c.Requests,
		Retention: time.Duration(r.Age), MaxBytes: int64(r.Size), Rules: r.Classes(), TenantName: s.tenantName, Log: s.o.Log,
	}
	if c.Authorities != "" || c.Certificate != "" {
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if c.Authorities != "" {
		pem, err := os.ReadFile(c.Authorities)
		if err != nil {
			return nil, fmt.Errorf("cannot read storage.elasticsearch.authorities: %w", err)
		}
		o.TLS.RootCAs = x509.NewCertPool()
		if !o.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("cannot use storage.elasticsearch.authorities: %q holds no certificate", c.Authorities)
		}
	}
	if c.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(c.Certificate, c.Key)
		if err != nil {
			return nil, fmt.Errorf("cannot use storage.elasticsearch.certificate: %w", err)
		}
		o.TLS.Certificates = []tls.Certificate{pair}
	}
	return elasticsearch.Open(o)
}
