package k8smeta

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"k8s.io/client-go/kubernetes"
)

const (
	nodesEvery = 5 * time.Minute
	// nodesAtOnce agents ask within nodesEvery, however many there are: in a larger cluster each asks less often.
	nodesAtOnce = 20
)

// Nodes are the names of the cluster's nodes as the API server listed them last, sorted; none before it has, and where it may not be
// asked. The server tells from them which nodes have no agent. They are the caller's only to read.
func (s *share) Nodes() []string {
	if list := s.nodes.Load(); list != nil {
		return *list
	}
	return nil
}

// listNodes lists the nodes once in a while, until ctx ends.
func (s *share) listNodes(ctx context.Context, client kubernetes.Interface, warn func(string, ...interface{})) {
	said := false
	for pause := time.Duration(rand.Int64N(int64(time.Minute))); ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		list, err := nodeNames(ctx, client)
		if err == nil {
			s.nodes.Store(&list)
		} else if ctx.Err() == nil && !said {
			warn("The server cannot be told which nodes have no agent: %v", err)
			said = true
		}
		pause = nodesEvery * time.Duration(max(1, len(s.Nodes())/nodesAtOnce))
		pause += time.Duration(rand.Int64N(int64(pause / 2)))
	}
}

// nodeNames asks for the nodes' metadata alone, from the API server's cache.
func nodeNames(ctx context.Context, client kubernetes.Interface) ([]string, error) {
	text, err := client.CoreV1().RESTClient().Get().Resource("nodes").Param("resourceVersion", "0").
		SetHeader("Accept", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1").Do(ctx).Raw()
	if err != nil {
		return nil, fmt.Errorf("cannot list the nodes: %w", err)
	}
	var list struct {
		Items []struct {
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
		} `json:"items"`
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("cannot read the list of nodes: %w", err)
	}
	names := make([]string, len(list.Items))
	for i, n := range list.Items {
		names[i] = n.Metadata.Name
	}
	slices.Sort(names)
	return names, nil
}
