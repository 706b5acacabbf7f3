package cluster

import (
	"fmt"

	"github.com/tallylog/tally/deploy/kubernetes"
)

// values are what a manifest is made from.
type values struct {
	Cluster string // its name
	Server  string // URL of the server
	Token   string // secret of the push token
	CA      string // PEM; empty where the agents trust the server's certificate anyway
	Image   string
}

// manifest is the YAML for kubectl apply: that of deploy/kubernetes, with the agents' token.
func manifest(v values) ([]byte, error) {
	b, err := kubernetes.Agent{Image: v.Image, Cluster: v.Cluster, URL: v.Server, Token: v.Token, CA: v.CA}.Manifest()
	if err != nil {
		return nil, fmt.Errorf("cannot make the manifest of cluster %q: %w", v.Cluster, err)
	}
	return b, nil
}
