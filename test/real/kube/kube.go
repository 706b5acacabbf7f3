package kube

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/internal/build"
	"github.com/tallylog/tally/test/rig"
)

// Token is the bearer token of the user admin, of the group system:masters, in every Cluster.
const Token = "only-for-tests"

// Cluster is an API server that can be stopped and started again on the same port and data.
type Cluster struct {
	URL        string // https://127.0.0.1:PORT
	CA         string // file: the certificate that signs the server's
	Kubeconfig string // file
	Kubectl    string // the program
	Dir        string

	t         testing.TB
	apiserver string
	etcd, api *rig.Process
	etcdURL   string
	port      string
	client    *http.Client
}

// Start builds the programs where they have not been built yet, starts etcd and the API server, and waits until it is ready; the
// namespaces default and kube-system have their service account default. All ends with the test.
func Start(t testing.TB) *Cluster {
	t.Helper()
	dir, err := build.KubePrograms(t.Context(), rig.Root(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("etcd"); err != nil {
		t.Fatal("cannot find etcd; go tool mage kube installs it; on Debian: apt-get install etcd-server")
	}
	c := &Cluster{t: t, Dir: t.TempDir(), Kubectl: filepath.Join(dir, "kubectl"), apiserver: filepath.Join(dir, "kube-apiserver")}
	c.CA = filepath.Join(c.Dir, "ca.crt")
	if err := certificates(c.Dir); err != nil {
		t.Fatal(err)
	}
	c.write("tokens.csv", Token+",admin,admin,system:masters\n")
	c.trust()
	c.startEtcd()
	c.StartAPI()
	for _, ns := range []string{"default", "kube-system"} {
		c.ensureServiceAccount(ns)
	}
	return c
}

func (c *Cluster) write(name, text string) string {
	c.t.Helper()
	name = filepath.Join(c.Dir, name)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return name
}

// trust makes the client that knows the cluster's CA.
func (c *Cluster) trust() {
	c.t.Helper()
	pem, err := os.ReadFile(c.CA)
	if err != nil {
		c.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	c.client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
}

// startEtcd starts etcd; should another process have taken one of its ports all the same, it tries others.
func (c *Cluster) startEtcd() {
	c.t.Helper()
	for range 5 {
		client, peer := "http://"+rig.Port(c.t), "http://"+rig.Port(c.t)
		c.etcdURL = client
		// etcd 3.4 wants this said on ARM; elsewhere it means nothing.
		c.etcd = rig.Start(c.t, []string{"ETCD_UNSUPPORTED_ARCH=" + runtime.GOARCH}, "etcd", "--data-dir", filepath.Join(c.Dir, "etcd"), "--listen-client-urls", client,
			"--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
			"--initial-cluster", "default="+peer)
		if c.until(c.etcd, func() bool { return healthy(http.DefaultClient, client+"/health", "") }) {
			return
		}
		if err := os.RemoveAll(filepath.Join(c.Dir, "etcd")); err != nil {
			c.t.Fatal(err)
		}
	}
	c.t.Fatalf("cannot start etcd:\n%s", c.etcd.Log())
}

// StartAPI starts the API server, for a second time on the port that it had.
func (c *Cluster) StartAPI() {
	c.t.Helper()
	for range 5 {
		if c.URL == "" || c.api.Exited() && strings.Contains(string(c.api.Log()), "address already in use") {
			c.locate(rig.Port(c.t))
		}
		file := func(name string) string { return filepath.Join(c.Dir, name) }
		c.api = rig.Start(c.t, nil, c.apiserver, "--etcd-servers", c.etcdURL, "--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1",
			"--secure-port", c.port, "--endpoint-reconciler-type", "none", "--service-cluster-ip-range", "10.0.0.0/24",
			"--tls-cert-file", file("api.crt"), "--tls-private-key-file", file("api.key"), "--client-ca-file", c.CA,
			"--token-auth-file", file("tokens.csv"), "--authorization-mode", "RBAC", "--allow-privileged",
			"--service-account-issuer", "https://kubernetes.default.svc", "--service-account-key-file", file("sa.key"),
			"--service-account-signing-key-file", file("sa.key"))
		if c.until(c.api, func() bool { return healthy(c.client, c.URL+"/readyz", Token) }) {
			return
		}
	}
	c.t.Fatalf("cannot start kube-apiserver:\n%s", c.api.Log())
}

// StopAPI ends the API server as a crash would; etcd stays.
func (c *Cluster) StopAPI() { c.api.Kill() }

// locate settles the address, and writes the kubeconfig for it.
func (c *Cluster) locate(addr string) {
	c.t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		c.t.Fatal(err)
	}
	c.port, c.URL = port, "https://"+addr
	c.Kubeconfig = c.write("kubeconfig", fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: test
clusters: [{name: test, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: admin, user: {token: %q}}]
contexts: [{name: test, context: {cluster: test, user: admin}}]
`, c.URL, c.CA, Token))
}

// until waits for ok; it tells false when the process has ended.
func (c *Cluster) until(p *rig.Process, ok func() bool) bool {
	c.t.Helper()
	ended := false
	rig.Eventually(c.t, 4*time.Minute, "the process is ready", func() bool {
		ended = p.Exited()
		return ended || ok()
	})
	return !ended
}

func healthy(client *http.Client, url, token string) bool {
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		return false
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// Do sends a request as admin and returns status and answer. A body that is neither nil nor a string is sent as JSON; contentType
// may be empty.
func (c *Cluster) Do(method, path, contentType string, body any) (int, []byte) {
	c.t.Helper()
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			c.t.Fatal(err)
		}
		r = strings.NewReader(string(text))
	}
	req, err := http.NewRequest(method, c.URL+path, r)
	if err != nil {
		c.t.Fatal(err)
	}
	if contentType == "" {
		contentType = "application/json"
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Authorization", "Bearer "+Token)
	resp, err := c.client.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, answer
}

// Run runs kubectl with these arguments and input, and returns what it printed on both streams.
func (c *Cluster) Run(input string, args ...string) (string, error) {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), c.Kubectl, append([]string{"--kubeconfig", c.Kubeconfig}, args...)...)
	// kubectl keeps what it discovers below HOME.
	cmd.Env = append(os.Environ(), "HOME="+c.Dir)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// MustRun is Run that fails the test.
func (c *Cluster) MustRun(input string, args ...string) string {
	c.t.Helper()
	out, err := c.Run(input, args...)
	if err != nil {
		c.t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// ensureServiceAccount makes what the controller manager would: without it no pod can be created.
func (c *Cluster) ensureServiceAccount(namespace string) {
	c.t.Helper()
	rig.Eventually(c.t, time.Minute, "namespace "+namespace+" has a service account", func() bool {
		code, _ := c.Do("POST", "/api/v1/namespaces/"+namespace+"/serviceaccounts", "", `{"metadata":{"name":"default"}}`)
		return code == http.StatusCreated || code == http.StatusConflict
	})
}

// Namespace makes a namespace in which pods can be created.
func (c *Cluster) Namespace(name string) {
	c.t.Helper()
	if code, answer := c.Do("POST", "/api/v1/namespaces", "", `{"metadata":{"name":"`+name+`"}}`); code != http.StatusCreated {
		c.t.Fatalf("cannot make the namespace %q: %d %s", name, code, answer)
	}
	c.ensureServiceAccount(name)
}
