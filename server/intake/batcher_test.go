package intake

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/admit"
	"github.com/tallylog/tally/server/auth"
	"github.com/tallylog/tally/server/record"
)

// refuser refuses the events that are called dup, and gives the others ids.
type refuser struct{}

func (refuser) Admit(_ context.Context, b *record.Batch) (admit.Result, error) {
	var res admit.Result
	keep := b.Events[:0]
	for i, e := range b.Events {
		m, _ := e.Get(event.Message)
		if e.ID != "" {
			return res, fmt.Errorf("%s has the id %q already", m, e.ID)
		}
		if e.ID = "id-" + m; m == "dup" {
			res.Known = append(res.Known, i)
			continue
		}
		keep = append(keep, e)
	}
	b.Events = keep
	res.Accepted, res.Duplicates = len(keep), len(res.Known)
	return res, nil
}

// TestFate: each item is told its own fate, whatever Clean has dropped, added and admission refused in between.
func TestFate(t *testing.T) {
	f := func(clean func(*record.Batch), want string, messages ...string) {
		t.Helper()
		g := &Gate{Admit: refuser{}, Budget: NewBudget(1 << 20), Limits: DefaultLimits, Clean: clean, Wait: time.Minute, Log: slog.New(slog.DiscardHandler)}
		r := httptest.NewRequest("POST", "/", nil)
		q, err := g.Begin(httptest.NewRecorder(), r.WithContext(auth.NewContext(r.Context(), auth.Principal{Name: "c"})))
		if err != nil {
			t.Fatal(err)
		}
		defer q.End()
		got := make([]string, len(messages))
		b := q.Batcher()
		b.Fate = func(item int, known bool, id string) {
			if got[item] != "" {
				t.Errorf("item %d is told twice", item)
			}
			if got[item] = id; known {
				got[item] = "known"
			} else if id == "" {
				got[item] = "dropped"
			}
		}
		for i, m := range messages {
			e := event.Event{}
			e.Put(event.Message, m)
			if err := b.Add(e, 1, i); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Flush(); err != nil {
			t.Fatal(err)
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%q: %s, want %s", messages, s, want)
		}
	}
	f(nil, "id-a id-b", "a", "b")
	f(nil, "known id-a known id-b known", "dup", "a", "dup", "b", "dup")
	drop := func(b *record.Batch) {
		var keep []event.Event
		for _, e := range b.Events {
			m, _ := e.Get(event.Message)
			if m == "drop" {
				continue
			}
			made := event.Event{}
			made.Put(event.Message, "made")
			keep = append(keep, made, e)
		}
		b.Events = keep
	}
	f(drop, "dropped id-a known dropped id-b dropped", "drop", "a", "dup", "drop", "b", "drop")
	f(drop, "dropped", "drop")
	double := func(b *record.Batch) { b.Events = append(b.Events, b.Events...) }
	f(double, "id-a id-b", "a", "b")
}

// TestCleanCannotLeaveTheScope: a pipeline that reads a namespace or a cluster in the text of an event does not move the event
// out of the scope of who pushed it.
func TestCleanCannotLeaveTheScope(t *testing.T) {
	f := func(p auth.Principal, field, given, tag, want string) {
		t.Helper()
		b := &Batcher{q: &Request{Principal: p}, batch: &record.Batch{Events: make([]event.Event, 1)}}
		e := &b.batch.Events[0]
		e.Put(NamespaceField, "shop")
		e.Put(ClusterField, "prod-1")
		e.Put(field, given)
		b.confine()
		if got, ok := e.Get(field); got != want || ok != (want != "") {
			t.Errorf("%v: %s is %q, want %q", p, field, got, want)
		}
		if got, _ := e.Get("original." + field); (got == given) == (want == given) {
			t.Errorf("%v: the text of %s, %q, became %q", p, field, given, got)
		}
		if tags, _ := e.Get("tags"); strings.Contains(tags, tag) == (want == given) {
			t.Errorf("%v: tags %s", p, tags)
		}
		other := map[string]string{NamespaceField: ClusterField, ClusterField: NamespaceField}[field]
		if got, _ := e.Get(other); got != map[string]string{NamespaceField: "shop", ClusterField: "prod-1"}[other] {
			t.Errorf("%v: %s became %q", p, other, got)
		}
	}
	for _, x := range []struct {
		p      auth.Principal
		ns, cl string // what becomes of a foreign namespace, and of a foreign cluster
	}{
		{auth.Principal{}, "kube-system", "kube-system"},
		{auth.Principal{Namespaces: []string{"shop"}}, "shop", "kube-system"},
		{auth.Principal{Namespaces: []string{"shop", "pay-*"}}, "", "kube-system"},
		{auth.Principal{Clusters: []string{"prod-1"}}, "kube-system", "prod-1"},
		{auth.Principal{Clusters: []string{"prod-*"}}, "kube-system", ""},
		{auth.Principal{Namespaces: []string{"shop"}, Clusters: []string{"prod-1", "x"}}, "shop", ""},
	} {
		f(x.p, NamespaceField, "shop", "_namespace_out_of_scope", "shop")
		f(x.p, ClusterField, "prod-1", "_cluster_out_of_scope", "prod-1")
		f(x.p, NamespaceField, "kube-system", "_namespace_out_of_scope", x.ns)
		f(x.p, ClusterField, "kube-system", "_cluster_out_of_scope", x.cl)
	}
}

func TestInScope(t *testing.T) {
	f := func(p auth.Principal, ns, cluster string, want bool, becomes string) {
		t.Helper()
		e := &event.Event{}
		if ns != "-" {
			e.Put(NamespaceField, ns)
		}
		if cluster != "-" {
			e.Put(ClusterField, cluster)
		}
		got := InScope(p, e)
		n, _ := e.Get(NamespaceField)
		c, _ := e.Get(ClusterField)
		if got != want || want && n+"/"+c != becomes {
			t.Errorf("%v, namespace %s, cluster %s: %t as %s/%s, want %t as %s", p, ns, cluster, got, n, c, want, becomes)
		}
	}
	one := auth.Principal{Clusters: []string{"prod"}}
	f(auth.Principal{}, "-", "-", true, "/")
	f(one, "a", "prod", true, "a/prod")
	f(one, "a", "-", true, "a/prod")
	f(one, "a", "", false, "")
	f(one, "a", "Prod", false, "")
	f(one, "prod", "test", false, "")
	many := auth.Principal{Clusters: []string{"prod", "eu-*"}}
	f(many, "a", "-", false, "")
	f(many, "a", "eu-1", true, "a/eu-1")
	f(many, "a", "us-1", false, "")
	f(auth.Principal{Clusters: []string{"*"}}, "a", "-", false, "")
	both := auth.Principal{Namespaces: []string{"shop"}, Clusters: []string{"prod"}}
	f(both, "-", "-", true, "shop/prod")
	f(both, "shop", "test", false, "")
	f(both, "pay", "prod", false, "")
	f(both, "pay", "-", false, "")
	f(both, "-", "test", false, "")
}
