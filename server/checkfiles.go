package server

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/tallylog/tally/server/config"
)

// CheckFiles reads the PEM files that a configuration names, as the start does, and returns the key of one that cannot be used, and
// why. A server whose files are wrong is wrongly configured, and says so before it touches its data.
func CheckFiles(c *config.Config) (key string, err error) {
	for _, t := range []struct {
		key   string
		files config.TLS
	}{{"http.tls", c.HTTP.TLS}, {"lumberjack.tls", c.Lumberjack.TLS}} {
		if t.files.Certificate == "" {
			continue
		}
		if err := pair(t.files.Certificate, t.files.Key); err != nil {
			return t.key + ".certificate", err
		}
		if err := authorities(t.files.ClientAuthorities); err != nil {
			return t.key + ".client_authorities", err
		}
	}
	if _, err := authorityFor(c.HTTP.PublicCA, c.HTTP.TLS.Certificate); err != nil {
		return "http.public_ca", err
	}
	if c.Storage.Type != "elasticsearch" {
		return "", nil
	}
	e := &c.Storage.Elasticsearch
	if e.Certificate != "" {
		if err := pair(e.Certificate, e.Key); err != nil {
			return "storage.elasticsearch.certificate", err
		}
	}
	if err := authorities(e.Authorities); err != nil {
		return "storage.elasticsearch.authorities", err
	}
	if err := authorities(c.Storage.Cluster.Authorities); err != nil {
		return "storage.cluster.authorities", err
	}
	return "", nil
}

func pair(certificate, key string) error {
	if _, err := tls.LoadX509KeyPair(certificate, key); err != nil {
		return fmt.Errorf("cannot load certificate %q with key %q: %w", certificate, key, err)
	}
	return nil
}

// authorities checks a file of certificates; none is fine.
func authorities(file string) error {
	if file == "" {
		return nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("cannot read certificates: %w", err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		return errors.New(file + " holds no PEM certificate")
	}
	return nil
}
