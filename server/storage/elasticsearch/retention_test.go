package elasticsearch

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/retention"
	"github.com/tallylog/tally/server/storage"
)

// TestClasses holds that each class of retention has its partitions, with the shares of tenants and namespaces; that only what is due goes;
// and that what is known of a class outlives its rule, and the process.
func TestClasses(t *testing.T) {
	ctx := context.Background()
	o := options(t.Name())
	o.TenantName = func(n uint32) string { return fmt.Sprint("t", n) }
	o.Rules = retention.Rules{
		{Name: "short", Tenant: "t1", Namespace: "ns1", Limit: retention.Limit{Age: 30 * time.Hour}},
		{Name: "7-small", Stream: "app-*", Limit: retention.Limit{Size: 1}},
	}
	s := open(t, o)
	now := time.Now().UTC()
	noon := now.Truncate(24 * time.Hour).Add(12 * time.Hour)
	for tenant := range uint32(2) {
		b := &storage.Batch{Seq: uint64(tenant) + 1, Tenant: tenant}
		for n := range 120 {
			e := event.Event{ID: fmt.Sprint(tenant, n), Time: min(noon.AddDate(0, 0, -(n%3)).UnixNano(), now.UnixNano())}
			e.Put("message", "x")
			if n%4 > 0 {
				e.Put("kubernetes.namespace", fmt.Sprint("ns", n%2))
			}
			if n%5 == 0 {
				e.Put(retention.IndexField, "app-a")
			}
			b.Events = append(b.Events, e)
		}
		if err := s.Append(ctx, b); err != nil {
			t.Fatal(err)
		}
		for _, r := range b.Rejected { // of the day before yesterday
			if e := b.Events[r.Index]; tenant != 1 || r.Reason != "older than the retention" || e.Time > now.Add(-30*time.Hour).UnixNano() {
				t.Errorf("rejected: %+v", r)
			}
		}
	}
	sum := func(s *Store) (rows map[string]int64, parts []storage.Partition) {
		t.Helper()
		parts, err := s.Partitions(ctx, true)
		if err != nil {
			t.Fatal(err)
		}
		rows = map[string]int64{}
		for _, p := range parts {
			shares := int64(0)
			for _, x := range p.Shares {
				rows[fmt.Sprintf("%d/%s", x.Tenant, x.Namespace)] += x.Rows
				shares += x.Rows
			}
			if rows[p.Class] += p.Rows; shares != p.Rows || p.Bytes == 0 || p.Day == "" || !strings.HasPrefix(p.Name, "tally-") {
				t.Errorf("partition %+v", p)
			}
		}
		return rows, parts
	}
	rows, parts := sum(s)
	if rows["7-small"] == 0 || rows["0/ns1"] != 60 || rows["0/ns0"] != 30 || rows["0/"] != 30 || rows["short"] == 0 || rows["1/ns0"] != 30 {
		t.Errorf("rows %v of %+v", rows, parts)
	}
	plan := retention.Plan(parts, s.Limits(), now, now)
	if len(plan) == 0 {
		t.Fatal("nothing is planned")
	}
	today := now.Format(time.DateOnly)
	for _, x := range plan {
		if x.Class == retention.Default || x.Day >= today || x.Class == "7-small" && x.Reason != retention.ReasonSize {
			t.Errorf("planned %+v", x)
		}
		if err := s.Remove(ctx, x.Name); err != nil {
			t.Fatal(err)
		}
	}
	after, left := sum(s)
	if len(left) != len(parts)-len(plan) || after[retention.Default] != rows[retention.Default] || after["7-small"] == 0 || after["7-small"] >= rows["7-small"] {
		t.Errorf("left %v of %v", after, rows)
	}
	var of event.Event
	of.Put(retention.IndexField, "app-x")
	yesterday := noon.Truncate(24 * time.Hour).UnixNano() // the end of it
	if got := s.Horizon(0, &of); got != yesterday {
		t.Errorf("horizon %v", time.Unix(0, got).UTC())
	}

	// Another process, without the rules: what it lies in keeps its limit, and what was removed is remembered.
	o.Rules = nil
	again := open(t, o)
	if err := again.Append(ctx, batch(3, 1)); err != nil {
		t.Fatal(err)
	}
	if l := again.Limits(); l["7-small"].Size != 1 || l["short"].Age != 30*time.Hour || len(l) != 3 {
		t.Errorf("limits %v", l)
	}
	o.Rules = retention.Rules{{Name: "7-small", Stream: "app-*", Limit: retention.Limit{Size: 1 << 40}}}
	again = open(t, o)
	if err := again.prepare(ctx); err != nil {
		t.Fatal(err)
	}
	if got, l := again.Horizon(0, &of), again.Limits()["7-small"]; got != yesterday || l.Size != 1<<40 {
		t.Errorf("horizon %v, limit %+v", time.Unix(0, got).UTC(), l)
	}
}

// TestForeignStays holds that nothing is removed that is not ours.
func TestForeignStays(t *testing.T) {
	o := options(t.Name())
	s := open(t, o)
	name := strings.Replace(o.Index, "-%{+yyyy.MM.dd}", "-foreign", 1)
	put(t, http.MethodPut, "/"+name, "")
	if err := s.Remove(context.Background(), name); err != nil {
		t.Error(err)
	}
	put(t, http.MethodGet, "/"+name, "")
}
