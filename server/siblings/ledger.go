package siblings

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tallylog/tally/server/admit"
	"github.com/tallylog/tally/server/storage/elasticsearch"
)

const (
	callAccounts = "accounts" // admit.Filter to what Export gives
	callParts    = "parts"    // a list of buckets to a map of what ExportParts gives
)

// askTime bounds how long another server is waited for where its last published account will do.
const askTime = 3 * time.Second

// overlap is how far behind the newest change is looked for others: writings that overtake each other become visible out of order.
const overlap = 2000

// Shared is where accounts are published; *elasticsearch.Documents is one.
type Shared interface {
	Set(ctx context.Context, id string, body []byte) error
	Changes(ctx context.Context, after int64, f func(elasticsearch.Document) error) error
	Prune(ctx context.Context, before int64) error
}

var _ Shared = (*elasticsearch.Documents)(nil)

// published is the account of one server in one bucket, as of its last checkpoint. Its id is that of the server, a dot, and the bucket.
type published struct {
	Accounts []byte `json:"accounts"`
	At       int64  `json:"at"` // milliseconds since 1970
}

// Ledger is the account of all servers: of those that live as they tell it, of the others as they have published it.
type Ledger struct {
	g    *Group
	own  *admit.Admission
	docs Shared
	age  time.Duration // published accounts older than it are deleted, 0 for never
	log  *slog.Logger

	mu   sync.Mutex
	read map[string]map[int][]byte // what was published, by server and bucket
	at   int64                     // sequence number of the newest change read
}

// NewLedger makes the ledger of a group that does not run yet.
func NewLedger(g *Group, own *admit.Admission, docs Shared, age time.Duration, log *slog.Logger) *Ledger {
	l := &Ledger{g: g, own: own, docs: docs, age: age, log: log, read: map[string]map[int][]byte{}, at: -1}
	g.leases.gained, g.leases.fed = l.gained, own.Fed
	g.Handle(callAccounts, func(_ context.Context, body []byte) ([]byte, error) {
		var f admit.Filter
		if err := json.Unmarshal(body, &f); err != nil {
			return nil, fmt.Errorf("cannot understand which accounts are wanted: %w", err)
		}
		return own.Export(f), nil
	})
	g.Handle(callParts, func(_ context.Context, body []byte) ([]byte, error) {
		var list []int
		if err := json.Unmarshal(body, &list); err != nil {
			return nil, fmt.Errorf("cannot understand which buckets are wanted: %w", err)
		}
		all, out := own.ExportParts(bucketOfSource), map[int][]byte{}
		for _, b := range list {
			if part := all[b]; part != nil {
				out[b] = part
			}
		}
		return json.Marshal(out)
	})
	return l
}

func bucketOfSource(tenant uint32, client, source string) int {
	return bucketOf(tenant, client, source, "")
}

// Union is the account of all servers.
func (l *Ledger) Union() *admit.Union { return &admit.Union{Own: l.own, Others: l.others} }

// others asks each other server for what f chooses; of those that do not answer it returns what they have published.
func (l *Ledger) others(f admit.Filter) (all [][]byte) {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	body, err := json.Marshal(f)
	if err != nil {
		l.log.Error("cannot ask other servers for their accounts", "error", err)
		return nil
	}
	answers := l.ask(ctx, callAccounts, body)
	for _, b := range answers {
		all = append(all, b)
	}
	for server, parts := range l.published(ctx) {
		if _, answered := answers[server]; !answered && server != l.g.ID() {
			for _, b := range parts {
				all = append(all, b)
			}
		}
	}
	return all
}

// ask calls all other servers at once, and returns the answers of those that answer.
func (l *Ledger) ask(ctx context.Context, name string, body []byte) map[string][]byte {
	answers, failed := l.g.All(ctx, name, body)
	for id, err := range failed {
		l.log.Warn("a server cannot be asked for its account; what it has published is taken", "server", id, "error", err)
	}
	return answers
}

// published returns what all servers have published, as far as Elasticsearch can be asked.
func (l *Ledger) published(ctx context.Context) map[string]map[int][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.docs.Changes(ctx, max(-1, l.at-overlap), func(d elasticsearch.Document) error {
		server, number, _ := strings.Cut(d.ID, ".")
		bucket, err := strconv.Atoi(number)
		var p published
		if err == nil {
			err = json.Unmarshal(d.Body, &p)
		}
		if err != nil {
			return fmt.Errorf("cannot understand account %q: %w", d.ID, err)
		}
		if l.read[server] == nil {
			l.read[server] = map[int][]byte{}
		}
		l.read[server][bucket] = p.Accounts
		l.at = max(l.at, d.Version.Seq)
		return nil
	})
	if err != nil {
		l.log.Warn("cannot read the accounts that other servers have published", "error", err)
	}
	out := make(map[string]map[int][]byte, len(l.read))
	for server, parts := range l.read {
		out[server] = make(map[int][]byte, len(parts))
		for b, x := range parts {
			out[server][b] = x
		}
	}
	return out
}

// gained learns what other servers have stored of the sources in buckets. What it cannot learn costs exactness of counts alone.
func (l *Ledger) gained(ctx context.Context, list []int) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	want := map[int]bool{}
	for _, b := range list {
		want[b] = true
	}
	chosen := func(tenant uint32, client, source string) bool { return want[bucketOf(tenant, client, source, "")] }
	learn := func(part []byte) {
		if err := l.own.Learn(part, chosen); err != nil {
			l.log.Error("cannot learn the account of another server", "error", err)
		}
	}
	body, err := json.Marshal(list)
	if err != nil {
		l.log.Error("cannot ask other servers for their accounts", "error", err)
		return
	}
	answered := l.ask(ctx, callParts, body)
	for id, b := range answered {
		var parts map[int][]byte
		if err := json.Unmarshal(b, &parts); err != nil {
			l.log.Error("cannot understand the account of another server", "server", id, "error", err)
		}
		for _, part := range parts {
			learn(part)
		}
	}
	for server, parts := range l.published(ctx) {
		if _, ok := answered[server]; ok || server == l.g.ID() {
			continue
		}
		for b, part := range parts {
			if want[b] {
				learn(part)
			}
		}
	}
}

// Run publishes the account of this server every so often until ctx is done, and then once more.
func (l *Ledger) Run(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	sums := map[int]uint64{}
	pruned := time.Now()
	for last := false; !last; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			last = true
		}
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(every, askTime))
		if err := l.publish(bound, sums); err != nil {
			l.log.Warn("cannot publish the account of this server; trying again", "error", err)
		}
		if l.age > 0 && time.Since(pruned) > time.Hour {
			pruned = time.Now()
			if err := l.docs.Prune(bound, pruned.Add(-l.age).UnixMilli()); err != nil {
				l.log.Warn("cannot delete old accounts; trying again later", "error", err)
			}
		}
		cancel()
	}
}

// publish writes the parts that have changed; sums are those of the parts written before.
func (l *Ledger) publish(ctx context.Context, sums map[int]uint64) error {
	for b, part := range l.own.ExportParts(bucketOfSource) {
		h := fnv.New64a()
		h.Write(part)
		if sums[b] == h.Sum64() {
			continue
		}
		body, err := json.Marshal(published{part, time.Now().UnixMilli()})
		if err != nil {
			return fmt.Errorf("cannot write the account of bucket %d: %w", b, err)
		}
		if err := l.docs.Set(ctx, fmt.Sprintf("%s.%d", l.g.ID(), b), body); err != nil {
			return err
		}
		sums[b] = h.Sum64()
	}
	return nil
}
