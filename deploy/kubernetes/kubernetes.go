package kubernetes

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"text/template"
)

// Journal and Applog are the manifests of the design's two DaemonSets, Server that of the server, Webhook that of the webhook for applog
// volumes, which wants the server's certificate.
var (
	//go:embed journal.yaml
	Journal []byte
	//go:embed applog.yaml
	Applog []byte
	//go:embed server.yaml
	Server []byte
	//go:embed webhook.yaml
	Webhook []byte

	//go:embed agent.yaml.tmpl
	agentText string
)

// Agent is what differs in the agent's manifest from cluster to cluster. An empty value is the default's.
type Agent struct {
	Namespace string // tally
	Image     string // tallylog/tallybeat:latest
	Cluster   string // name of the Kubernetes cluster, in orchestrator.cluster.name: kubernetes
	// Lumberjack is host and port of the server, tally.tally.svc:5044; not used where there is a Token.
	Lumberjack string
	// Token makes the agent push over HTTP to the server at URL (https://host:port), with CA (PEM) to know it by where it is not
	// of a public authority.
	Token, URL, CA string
}

var label = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// Manifest is the YAML of the agent.
func (a Agent) Manifest() ([]byte, error) {
	def := func(v *string, value string) {
		if *v == "" {
			*v = value
		}
	}
	def(&a.Namespace, "tally")
	def(&a.Image, "tallylog/tallybeat:latest")
	def(&a.Cluster, "kubernetes")
	def(&a.Lumberjack, "tally.tally.svc:5044")
	switch {
	case !label.MatchString(a.Namespace):
		return nil, fmt.Errorf("cannot make the agent's manifest: %q is no name of a namespace", a.Namespace)
	case a.Token != "" && a.URL == "":
		return nil, errors.New("cannot make the agent's manifest: a token without a URL")
	case a.Token == "" && (a.URL != "" || a.CA != ""):
		return nil, errors.New("cannot make the agent's manifest: a URL or a CA without a token")
	}
	// JSON's strings are YAML's too, whatever is in them.
	funcs := template.FuncMap{"json": func(s string) (string, error) {
		b, err := json.Marshal(s)
		return string(b), err
	}}
	t, err := template.New("agent.yaml").Funcs(funcs).Parse(agentText)
	if err != nil {
		return nil, fmt.Errorf("cannot read the template of the agent's manifest: %w", err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, a); err != nil {
		return nil, fmt.Errorf("cannot make the agent's manifest: %w", err)
	}
	return out.Bytes(), nil
}

// Server is the address that the agents send to.
func (a Agent) Server() string {
	if a.Token != "" {
		return a.URL
	}
	return a.Lumberjack
}

// Checksum changes with everything that the agents must be started anew for.
func (a Agent) Checksum() string {
	sum := sha256.Sum256([]byte(agentText + "\x00" + a.Cluster + "\x00" + a.Server() + "\x00" + a.Token + "\x00" + a.CA))
	return hex.EncodeToString(sum[:8])
}
