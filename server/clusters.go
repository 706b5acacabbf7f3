package server

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"strings"

	"github.com/tallylog/tally/server/cluster"
	"github.com/tallylog/tally/server/storage/elasticsearch"
)

// openClusters opens the register of Kubernetes clusters.
func (s *Server) openClusters(ctx context.Context) (err error) {
	c := s.o.Config.HTTP
	if _, err := authorityFor(c.PublicCA, c.TLS.Certificate); err != nil {
		return err
	}
	var shared cluster.Documents
	if s.group != nil {
		es, err := s.elasticsearch()
		if err != nil {
			return err
		}
		if shared, err = elasticsearch.OpenDocuments(es, "clusters"); err != nil {
			return err
		}
	}
	s.clusters, err = cluster.Open(ctx, s.o.Dir, cluster.Options{
		Documents: shared,
		Tokens:    s.auth, Accounts: s.accounts, PublicURL: strings.TrimRight(c.PublicURL, "/"), Image: c.AgentImage, Log: s.o.Log,
		CA: func() string {
			// Read at each use: certificates are replaced while the server runs.
			text, err := authorityFor(c.PublicCA, c.TLS.Certificate)
			if err != nil {
				s.o.Log.Error("install manifests lack the authority that agents must trust", "error", err)
			}
			return text
		},
	})
	return err
}

// authorityFor returns the PEM certificates that agents must trust: those in the file ca, else the server's own where it is its own
// authority, else none, for then a public authority has signed it.
func authorityFor(ca, certificate string) (string, error) {
	if ca != "" {
		text, err := os.ReadFile(ca)
		if err != nil {
			return "", fmt.Errorf("cannot read http.public_ca: %w", err)
		}
		if !x509.NewCertPool().AppendCertsFromPEM(text) {
			return "", fmt.Errorf("cannot use http.public_ca: %q holds no PEM certificate", ca)
		}
		return string(text), nil
	}
	if certificate == "" {
		return "", nil
	}
	text, err := os.ReadFile(certificate)
	if err != nil {
		return "", fmt.Errorf("cannot read http.tls.certificate: %w", err)
	}
	var last *pem.Block
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			last = block
		}
	}
	if last == nil {
		return "", nil
	}
	c, err := x509.ParseCertificate(last.Bytes)
	if err != nil {
		return "", fmt.Errorf("cannot read http.tls.certificate: %w", err)
	}
	if !bytes.Equal(c.RawIssuer, c.RawSubject) {
		return "", nil
	}
	return string(pem.EncodeToMemory(last)), nil
}
