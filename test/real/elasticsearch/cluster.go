package elasticsearch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tallylog/tally/test/ports"
)

// Options of a cluster. The zero value is one node of Version with a heap of 512 MiB.
type Options struct {
	Version string
	Nodes   int
	HeapMB  int
	// Settings are more lines for elasticsearch.yml.
	Settings []string
}

// Cluster is a running Elasticsearch.
type Cluster struct {
	// Addresses are the URLs of the nodes.
	Addresses []string
	Nodes     []*Node
	dir       string
	ports     []int
	release   []func()
}

// startTime is how long a cluster may take to form, on a slow machine with other work.
const startTime = 15 * time.Minute

// nobody is the user that runs the nodes when the tests run as root.
const nobody = 65534

// Start fetches Elasticsearch if need be, starts the nodes and returns when they have formed a cluster. Close must follow.
func Start(ctx context.Context, o Options) (_ *Cluster, err error) {
	o.Nodes, o.HeapMB = max(o.Nodes, 1), max(o.HeapMB, 512)
	if o.Version == "" {
		o.Version = Version
	}
	home, err := fetch(ctx, o.Version)
	if err != nil {
		return nil, err
	}
	c := &Cluster{}
	if c.dir, err = os.MkdirTemp("", "tally-elasticsearch-"); err != nil {
		return nil, fmt.Errorf("cannot create a folder for Elasticsearch: %w", err)
	}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	if err = own(c.dir); err != nil {
		return nil, fmt.Errorf("cannot give away the folder for Elasticsearch: %w", err)
	}
	for range 2 * o.Nodes {
		port, release, err := ports.Hold()
		if err != nil {
			return nil, err
		}
		c.ports, c.release = append(c.ports, port), append(c.release, release)
	}
	var seeds, names []string
	for i := range o.Nodes {
		seeds = append(seeds, fmt.Sprintf("127.0.0.1:%d", c.ports[2*i+1]))
		names = append(names, fmt.Sprintf("n%d", i))
	}
	for i, name := range names {
		n := &Node{Name: name, Address: fmt.Sprintf("http://127.0.0.1:%d", c.ports[2*i]), home: home, dir: filepath.Join(c.dir, name)}
		settings := append([]string{
			"cluster.name: " + filepath.Base(c.dir), "node.name: " + name,
			"path.data: " + filepath.Join(n.dir, "data"), "path.logs: " + filepath.Join(n.dir, "logs"),
			"network.host: 127.0.0.1", fmt.Sprintf("http.port: %d", c.ports[2*i]), fmt.Sprintf("transport.port: %d", c.ports[2*i+1]),
			"xpack.security.enabled: false", "node.store.allow_mmap: false", "cluster.routing.allocation.disk.threshold_enabled: false",
		}, o.Settings...)
		if !strings.HasPrefix(o.Version, "7.") {
			settings = append(settings, "xpack.security.autoconfiguration.enabled: false")
		}
		if o.Nodes == 1 {
			settings = append(settings, "discovery.type: single-node")
		} else {
			settings = append(settings, "discovery.seed_hosts: ["+strings.Join(seeds, ", ")+"]", "cluster.initial_master_nodes: ["+strings.Join(names, ", ")+"]")
		}
		if err = n.prepare(settings, o.HeapMB); err != nil {
			return nil, err
		}
		c.Nodes = append(c.Nodes, n)
		c.Addresses = append(c.Addresses, n.Address)
		if err = n.Start(); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if err = c.Wait(ctx, o.Nodes); err != nil {
		return nil, err
	}
	return c, nil
}

// Wait returns when the cluster has so many nodes and, for each index, the primary shards.
func (c *Cluster) Wait(ctx context.Context, nodes int) error {
	for {
		for _, n := range c.Nodes {
			if n.healthy(ctx, nodes) {
				return nil
			}
			if err := n.ended(); err != nil && nodes == len(c.Nodes) {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the cluster of Elasticsearch is not up: %w\n%s", ctx.Err(), c.Nodes[0].output())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (n *Node) healthy(ctx context.Context, nodes int) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	url := fmt.Sprintf("%s/_cluster/health?wait_for_nodes=%d&wait_for_status=yellow&timeout=5s", n.Address, nodes)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// Close kills the nodes and removes what they wrote.
func (c *Cluster) Close() error {
	var all []error
	for _, n := range c.Nodes {
		all = append(all, n.Kill())
	}
	for _, release := range c.release {
		release()
	}
	return errors.Join(append(all, os.RemoveAll(c.dir))...)
}
