package siblings

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/tallylog/tally/server/storage/elasticsearch"
	real "github.com/tallylog/tally/test/real/elasticsearch"
)

var cluster *real.Cluster

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if cluster, err = real.Start(context.Background(), real.Options{}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer cluster.Close()
		return m.Run()
	}())
}

// clock is one that a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }
func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// herd is servers with one table in the real Elasticsearch, each with a clock of its own.
type herd struct {
	t      *testing.T
	docs   *elasticsearch.Documents
	clocks []*clock
	all    []*Leases
}

const ttl = 10 * time.Second

func newHerd(t *testing.T, n int) *herd {
	docs, err := elasticsearch.OpenDocuments(elasticsearch.Options{Addresses: cluster.Addresses}, fmt.Sprintf("test-%d", time.Now().UnixNano()))
	if err != nil {
		t.Fatal(err)
	}
	h := &herd{t: t, docs: docs}
	for range n {
		h.join(docs)
	}
	return h
}

func (h *herd) join(docs Documents) *Leases {
	c := &clock{at: time.Now().Add(time.Duration(len(h.all)) * time.Hour)} // clocks need not agree
	id := fmt.Sprintf("server-%d", len(h.all))
	l := newLeases(Options{Documents: docs, ID: id, Self: Member{Name: id, URL: "http://" + id}, Lease: ttl, Now: c.now, Log: slog.New(slog.DiscardHandler)})
	h.clocks, h.all = append(h.clocks, c), append(h.all, l)
	return l
}

// round lets a second pass for all, and then some beat; so often.
func (h *herd) round(times int, which ...int) {
	h.t.Helper()
	for range times {
		for _, c := range h.clocks {
			c.pass(time.Second)
		}
		h.apart()
		for _, i := range which {
			h.all[i].beat(h.t.Context())
			l := h.all[i]
			rest := time.Now().Add(5 * time.Second)
			for time.Now().Before(rest) { // what was begun to be fed is fed
				l.mu.Lock()
				busy := l.feeding
				l.mu.Unlock()
				if !busy {
					break
				}
				time.Sleep(time.Millisecond)
			}
		}
		h.apart()
	}
}

// may lists the buckets that a server would admit now.
func (l *Leases) may() (list []int) {
	for b := range buckets {
		if terms, ok := l.begin([]int{b}); ok {
			if l.done([]int{b}, terms) == nil {
				list = append(list, b)
			}
		}
	}
	return list
}

// apart holds that no bucket is admitted by two.
func (h *herd) apart() {
	h.t.Helper()
	by := map[int]int{}
	for i, l := range h.all {
		for _, b := range l.may() {
			if other, taken := by[b]; taken {
				h.t.Fatalf("bucket %d is admitted by %d and %d", b, other, i)
			}
			by[b] = i
		}
	}
}

// admits holds that each of the servers admits something, and all together everything.
func (h *herd) admits(which ...int) {
	h.t.Helper()
	sum := 0
	for i, l := range h.all {
		n := len(l.may())
		sum += n
		wanted := false
		for _, w := range which {
			wanted = wanted || w == i
		}
		if wanted != (n > 0) {
			h.t.Errorf("server %d admits %d buckets", i, n)
		}
		if wanted && (n < buckets/len(which)/2 || n > 2*buckets/len(which)) {
			h.t.Errorf("server %d of %d admits %d of %d buckets", i, len(which), n, buckets)
		}
	}
	if sum != buckets {
		h.t.Errorf("%d of %d buckets are admitted", sum, buckets)
	}
}

func TestJoinExpireReturn(t *testing.T) {
	h := newHerd(t, 3)
	h.round(1, 0)
	h.admits(0)
	h.round(4, 0, 1, 2)
	h.admits(0, 1, 2)
	// Server 2 is silent. While its lease holds nobody else admits what it has; then it admits nothing, and the others all.
	h.round(8, 0, 1)
	if len(h.all[2].may()) == 0 {
		t.Error("a server admits nothing though its lease holds")
	}
	h.round(1, 0, 1)
	if len(h.all[2].may()) != 0 {
		t.Error("a server admits after its lease")
	}
	h.round(4, 0, 1)
	h.admits(0, 1)
	h.round(4, 0, 1, 2)
	h.admits(0, 1, 2)
	if err := h.all[1].leave(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	h.round(1, 0, 2)
	h.admits(0, 2)
}

// A server begins a batch, is stopped past its lease, and ends it: that may not be acknowledged. Nor when it has the lease back by then, for
// another may have admitted the same meanwhile.
func TestNotAcknowledgedAfterLease(t *testing.T) {
	h := newHerd(t, 2)
	h.round(4, 0, 1)
	list := h.all[0].may()[:1]
	begin := func() []uint64 {
		t.Helper()
		terms, ok := h.all[0].begin(list)
		if !ok {
			t.Fatal("what is held cannot be admitted")
		}
		return terms
	}
	terms := begin()
	h.clocks[0].pass(9 * time.Second)
	if err := h.all[0].done(list, terms); !errors.Is(err, errLease) {
		t.Errorf("acknowledged after the lease: %v", err)
	}
	h.round(1, 0)
	terms = begin()
	h.round(12, 1) // takes over
	h.round(3, 0, 1)
	if len(h.all[0].may()) == 0 {
		t.Fatal("the server did not come back")
	}
	if err := h.all[0].done(list, terms); !errors.Is(err, errLease) {
		t.Errorf("acknowledged after another had it: %v", err)
	}
}

// A bucket stays where it is while a batch of it is under way.
func TestHandedOverWhenDone(t *testing.T) {
	h := newHerd(t, 2)
	h.round(1, 0)
	all := h.all[0].may()
	terms, ok := h.all[0].begin(all)
	if !ok {
		t.Fatal("what is held cannot be admitted")
	}
	h.round(5, 0, 1)
	if n := len(h.all[1].may()); n != 0 {
		t.Errorf("%d buckets are handed over while batches are under way", n)
	}
	if err := h.all[0].done(all, terms); err != nil {
		t.Errorf("the lease was kept: %v", err)
	}
	h.round(4, 0, 1)
	h.admits(0, 1)
}

// Until what was admitted is in Elasticsearch, a bucket is not handed over.
func TestHandedOverWhenFed(t *testing.T) {
	h := newHerd(t, 2)
	fed := errors.New("Elasticsearch is slow")
	h.all[0].fed = func(context.Context) error { return fed }
	h.round(5, 0, 1)
	if n := len(h.all[1].may()); n != 0 {
		t.Errorf("%d buckets are handed over before they are fed", n)
	}
	fed = nil
	h.round(4, 0, 1)
	h.admits(0, 1)
}

// lossy does what it is asked, and then says that it did not.
type lossy struct {
	Documents
	lose bool
}

func (l *lossy) Put(ctx context.Context, id string, body []byte, v elasticsearch.Version) (elasticsearch.Version, error) {
	n, err := l.Documents.Put(ctx, id, body, v)
	if err == nil && l.lose {
		err = errors.New("the connection is cut")
	}
	return n, err
}

// A beat whose answer is lost gives no lease, though the others take it for one.
func TestAnswerLost(t *testing.T) {
	h := newHerd(t, 1)
	d := &lossy{Documents: h.docs}
	h.join(d)
	h.round(4, 0, 1)
	d.lose = true
	h.round(9, 0, 1)
	if n := len(h.all[1].may()); n != 0 {
		t.Errorf("%d buckets are admitted under a lease that is not known to be written", n)
	}
	d.lose = false
	h.round(2, 0, 1)
	h.admits(0, 1)
}

// Two servers with one id are found out.
func TestCopiedDirectory(t *testing.T) {
	h := newHerd(t, 1)
	h.round(2, 0)
	h.join(h.docs).id = h.all[0].id
	h.all[1].beat(t.Context())
	if err := h.all[0].once(t.Context()); err == nil {
		t.Error("a second server with the same id goes unnoticed")
	}
}

func TestBucketOf(t *testing.T) {
	seen := map[int]int{}
	for i := range 20_000 {
		seen[bucketOf(uint32(i%3), "agent", fmt.Sprintf("file:%d", i), "")]++
	}
	for b := range buckets {
		if seen[b] < 30 || seen[b] > 150 {
			t.Errorf("bucket %d has %d of 20,000 sources", b, seen[b])
		}
	}
	if bucketOf(1, "a", "", "x") != bucketOf(1, "b", "", "x") {
		t.Error("an identity is in two buckets, as two clients sent it")
	}
	if bucketOf(1, "a", "s", "") == bucketOf(1, "b", "s", "") && bucketOf(1, "a", "t", "") == bucketOf(1, "b", "t", "") {
		t.Error("a source does not depend on its client")
	}
}
