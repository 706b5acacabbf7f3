package retention

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/storage"
)

func TestClass(t *testing.T) {
	day := Limit{Age: 24 * time.Hour}
	rules := Rules{
		{Name: "audit", Tenant: "pay", Stream: "logs-audit-*", Limit: day},
		{Name: "system", Namespace: "kube-*", Limit: day},
		{Name: "pay", Tenant: "pay", Limit: day},
		{Name: "bulk", Stream: "app-*", Limit: day},
	}
	f := func(tenant, fields, want string) {
		t.Helper()
		e := &event.Event{}
		for _, x := range strings.Fields(fields) {
			name, value, _ := strings.Cut(x, "=")
			e.Put(name, value)
		}
		if got := rules.Class(tenant, e); got != want {
			t.Errorf("%s %s: %q, want %q", tenant, fields, got, want)
		}
	}
	f("default", "", Default)
	f("pay", "", "pay")
	f("pay", "data_stream.dataset=audit", "audit")
	f("default", "data_stream.dataset=audit", Default)
	f("pay", "kubernetes.namespace=kube-system", "system")
	f("default", "kubernetes.namespace=kube", Default)
	f("default", "tally.index=app-1", "bulk")
	f("default", "tally.index=app-1 data_stream.type=metrics", Default)
	if got := (Rules)(nil).Class("x", &event.Event{}); got != Default {
		t.Errorf("without rules %q", got)
	}
}

func TestCheck(t *testing.T) {
	ok := Rule{Name: "a", Tenant: "x", Limit: Limit{Age: 1}}
	if _, err := (Rules{ok}).Check(); err != nil {
		t.Error(err)
	}
	f := func(change func(*Rule), want string) {
		t.Helper()
		bad := ok
		bad.Name = "b"
		change(&bad)
		if i, err := (Rules{ok, bad}).Check(); err == nil || !strings.Contains(err.Error(), want) || i != 1 {
			t.Errorf("%+v: %d %v", bad, i, err)
		}
	}
	f(func(r *Rule) { r.Name = "default" }, "already")
	f(func(r *Rule) { r.Name = "a" }, "already")
	f(func(r *Rule) { r.Name = "../x" }, "characters")
	f(func(r *Rule) { r.Tenant = "" }, "tenant, namespace or stream")
	f(func(r *Rule) { r.Age = 0 }, "age or size")
}

func TestPlan(t *testing.T) {
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	var parts []storage.Partition
	for d := 1; d <= 11; d++ { // the eleventh lies ahead
		for _, class := range []string{Default, "short", "small"} {
			parts = append(parts, storage.Partition{Name: fmt.Sprint(class, d), Class: class, Day: fmt.Sprintf("2026-03-%02d", d), Bytes: 100})
		}
	}
	limits := map[string]Limit{"short": {Age: 72 * time.Hour}, "small": {Size: 350, Age: 30 * 24 * time.Hour}}
	f := func(until time.Duration, want string) {
		t.Helper()
		var got []string
		for _, r := range Plan(parts, limits, now, now.Add(until)) {
			if strings.HasPrefix(r.Name, "short") {
				got = append(got, fmt.Sprintf("%s@%s", r.Name, r.At.Format("02T15")))
			} else {
				got = append(got, r.Name+"/"+r.Reason)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("until %v:\n got %s\nwant %s", until, strings.Join(got, " "), want)
		}
	}
	const size = "small1/size small2/size small3/size small4/size small5/size small6/size small7/size small8/size"
	const age = "short1@05T00 short2@06T00 short3@07T00 short4@08T00 short5@09T00 short6@10T00"
	f(0, age+" "+size)
	f(36*time.Hour, age+" "+size+" short7@11T00 short8@12T00")
	limits["small"] = Limit{Size: 1}
	for _, r := range Plan(parts, limits, now, now) {
		if r.Day >= "2026-03-10" {
			t.Errorf("%s is to be removed", r.Name)
		}
	}
}
