package elasticsearch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"github.com/tallylog/tally/server/storage"
	"github.com/tallylog/tally/server/storage/storagetest"
	real "github.com/tallylog/tally/test/real/elasticsearch"
)

var version = flag.String("elasticsearch", real.Version, "of Elasticsearch")

// cluster is one node of the real Elasticsearch, which all tests of the package share.
var cluster *real.Cluster

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(func() int {
		var err error
		if cluster, err = real.Start(context.Background(), real.Options{Version: *version, HeapMB: 768}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer cluster.Close()
		return m.Run()
	}())
}

// options are those of a store that has the node to itself: index names of its own.
func options(dir string) Options {
	sum := sha256.Sum256([]byte(dir))
	return Options{Addresses: cluster.Addresses, Index: "tally-" + hex.EncodeToString(sum[:4]) + "-%{+yyyy.MM.dd}", Log: slog.New(slog.DiscardHandler)}
}

func open(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestStore(t *testing.T) {
	storagetest.Run(t, func(t *testing.T, dir string, after uint64) storage.Store {
		o := options(dir)
		o.Retention = defaultTestRetention
		s, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

const defaultTestRetention = 365 * 24 * 3600 * 1e9
