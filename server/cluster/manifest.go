package cluster

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"text/template"
)

//go:embed manifest.yml
var manifestText string

// manifestTemplate quotes every value as JSON, which YAML reads as the same text whatever is in it.
var manifestTemplate = template.Must(template.New("manifest.yml").Funcs(template.FuncMap{"quote": quote}).Option("missingkey=error").Parse(manifestText))

// values are what a manifest is made from.
type values struct {
	Cluster string // its name
	Server  string // URL of the server
	Token   string // secret of the push token
	CA      string // PEM; empty where the agents trust the server's certificate anyway
	Image   string
}

func quote(v string) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

// Checksum changes with everything that the agents must be started anew for.
func (v values) Checksum() string {
	h := sha256.Sum256([]byte(v.Cluster + "\x00" + v.Server + "\x00" + v.Token + "\x00" + v.CA))
	return hex.EncodeToString(h[:8])
}

// manifest is the YAML for kubectl apply.
func manifest(v values) ([]byte, error) {
	var b bytes.Buffer
	if err := manifestTemplate.Execute(&b, v); err != nil {
		return nil, fmt.Errorf("cannot make the manifest of cluster %q: %w", v.Cluster, err)
	}
	return b.Bytes(), nil
}
