package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	elasticsearch "github.com/tallylog/tally/test/real/elasticsearch"
	"github.com/tallylog/tally/test/rig"
)

// TestElasticsearchKilled kills a node of Elasticsearch, the master where there are several, while lines come in, and starts it again.
// Elasticsearch itself must count every line once in the end.
func TestElasticsearchKilled(t *testing.T) {
	if *long {
		t.Run("one node", func(t *testing.T) { killElasticsearch(t, 1, 1_000_000, 3) })
		t.Run("master of three nodes", func(t *testing.T) { killElasticsearch(t, 3, 300_000, 3) })
		return
	}
	killElasticsearch(t, 1, 60_000, 1)
}

func killElasticsearch(t *testing.T, nodes, total, kills int) {
	c, err := elasticsearch.Start(context.Background(), elasticsearch.Options{Nodes: nodes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	replicas := min(nodes-1, 1)
	s := rig.NewServer(t, t.TempDir(), fmt.Sprintf("buffer: {checkpoint: 2s}\nstorage: {type: elasticsearch, elasticsearch: {addresses: [%s], replicas: %d}}\n",
		strings.Join(c.Addresses, ", "), replicas)).Start()
	const perPush = 1000
	killed, restarted := 0, make(chan error, 1)
	for from := 0; from < total; from += perPush {
		if killed < kills && from >= (killed+1)*total/(kills+1) { // the pushes go on while the node is away
			killed++
			n := c.Nodes[master(t, c)]
			if err := n.Kill(); err != nil {
				t.Fatal(err)
			}
			if killed > 1 {
				if err := <-restarted; err != nil {
					t.Fatal(err)
				}
			}
			go func() {
				time.Sleep(2 * time.Second)
				restarted <- n.Start()
			}()
		}
		pushLines(t, s, from, perPush)
	}
	if err := <-restarted; err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	if err := c.Wait(ctx, nodes); err != nil {
		t.Fatal(err)
	}
	s.WaitCount("*", total, time.Hour)
	lost, doubled := rig.Tallied(s.Events("*", "message"), total, number)
	counted := countOf(t, c)
	t.Logf("%d lines, Elasticsearch of %d nodes killed %d times: %d lost, %d doubled; it counts %d itself", total, nodes, killed, lost, doubled, counted)
	if lost != 0 || doubled != 0 || counted != total || killed != kills {
		t.Errorf("%d lost, %d doubled, %d counted by Elasticsearch, %d kills", lost, doubled, counted, killed)
	}
}

// pushLines pushes numbered lines with their positions, again until they are acknowledged.
func pushLines(t *testing.T, s *rig.Server, from, n int) {
	t.Helper()
	var b strings.Builder
	for i := from; i < from+n; i++ {
		fmt.Fprintf(&b, `{"message":"line %d of the test","host":{"name":"node-%d"},"level":"info"}`+"\n", i, i%2)
	}
	end := time.Now().Add(time.Hour)
	for {
		code, body, err := s.Request("POST", "/api/v1/push", b.String(), "Tally-Source", "lines", "Tally-From", fmt.Sprint(from))
		switch {
		case err == nil && code == http.StatusOK:
			return
		case err == nil && code != http.StatusTooManyRequests && code != http.StatusBadGateway && code != http.StatusServiceUnavailable, time.Now().After(end):
			t.Fatalf("push: %d %s %v", code, body, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// master returns which node is the master.
func master(t *testing.T, c *elasticsearch.Cluster) int {
	t.Helper()
	var state struct {
		Master string `json:"master_node"`
		Nodes  map[string]struct{ Name string }
	}
	end := time.Now().Add(15 * time.Minute)
	for i := 0; ; i++ {
		err := ask(c.Addresses[i%len(c.Addresses)]+"/_cluster/state/master_node,nodes", &state)
		for k, n := range c.Nodes {
			if err == nil && n.Name == state.Nodes[state.Master].Name {
				return k
			}
		}
		if time.Now().After(end) {
			t.Fatalf("Elasticsearch has no master: %v", err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// countOf asks Elasticsearch how many events it has.
func countOf(t *testing.T, c *elasticsearch.Cluster) int {
	t.Helper()
	var answer struct{ Count int }
	if err := ask(c.Addresses[0]+"/tally-*/_count", &answer); err != nil {
		t.Fatal(err)
	}
	return answer.Count
}

func ask(url string, to any) error {
	resp, err := http.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %d", url, resp.StatusCode)
	}
	return json.NewDecoder(resp.Body).Decode(to)
}
