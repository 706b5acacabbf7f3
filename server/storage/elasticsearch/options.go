package elasticsearch

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/tallylog/tally/server/retention"
	"github.com/tallylog/tally/server/storage/elasticsearch/indices"
)

// Options of a store.
type Options struct {
	// Addresses are URLs of nodes; requests go to all in turn, and past those that do not answer.
	Addresses []string
	// Index is the template of index names; empty means indices.Default.
	Index string
	// Username and Password, or APIKey (as Elasticsearch gives it out, in base64), are the credentials.
	Username, Password, APIKey string
	// TLS is used for https addresses; nil means that of the system.
	TLS *tls.Config
	// Shards and Replicas of indices that are made from now on; Shards of 0 means 1.
	Shards, Replicas int
	// Requests is the number of bulk requests at once; 0 means 2.
	Requests int
	// Server tells the batches of several servers apart, whose buffers count alike.
	Server string
	// Retention is the age above which events are outdated, and MaxBytes the size of all indices; 0 means without bound. Rules
	// have classes of their own, each with indices of its own; TenantName names tenants for them.
	Retention  time.Duration
	MaxBytes   int64
	Rules      retention.Rules
	TenantName func(tenant uint32) string
	// Log is where changes of state are said; nil means slog.Default().
	Log *slog.Logger
}

func (o *Options) setDefaults() (indices.Names, error) {
	if o.Index == "" {
		o.Index = indices.Default
	}
	if len(o.Addresses) == 0 {
		return indices.Names{}, fmt.Errorf("no address of Elasticsearch is given")
	}
	o.Shards, o.Requests = max(o.Shards, 1), max(o.Requests, 0)
	if o.Requests == 0 {
		o.Requests = 2
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	for i := range o.Addresses {
		o.Addresses[i] = strings.TrimRight(o.Addresses[i], "/")
	}
	return indices.Parse(o.Index)
}
