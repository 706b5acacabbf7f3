package query

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/logstorage"

	"github.com/tallylog/tally/event"
)

// store is a real logstorage with events put in as the embedded store does.
type store struct {
	t interface {
		Helper()
		Fatalf(format string, args ...any)
	}
	s *logstorage.Storage
}

// openStore opens a store in an empty directory.
func openStore(t *testing.T) *store {
	s := logstorage.MustOpenStorage(t.TempDir(), &logstorage.StorageConfig{
		Retention:       100 * 365 * 24 * time.Hour,
		FutureRetention: 100 * 365 * 24 * time.Hour,
		FlushInterval:   time.Second,
	})
	t.Cleanup(s.MustClose)
	return &store{t, s}
}

// add makes the events searchable for tenant. Events with different values of the field "block" go into blocks of their
// own, whose columns get types of their own.
func (s *store) add(tenant uint32, events []event.Event) {
	s.t.Helper()
	lr := logstorage.GetLogRows([]string{"block"}, nil, nil, nil, "")
	defer logstorage.PutLogRows(lr)
	for i := range events {
		ev := &events[i]
		fields := []logstorage.Field{{Name: ID, Value: ev.ID}}
		for _, f := range ev.Fields {
			fields = append(fields, logstorage.Field{Name: StoreName(f.Name), Value: StoreValue(f.Value)})
		}
		if glue := Glue(ev); glue != "" {
			fields = append(fields, logstorage.Field{Name: GlueField, Value: glue})
		}
		lr.MustAdd(logstorage.TenantID{AccountID: tenant}, ev.Time, fields, nil)
	}
	s.s.MustAddRows(lr)
	s.s.DebugFlush()
}

// ids runs a filter of LogsQL and returns the ids found, sorted.
func (s *store) ids(tenant uint32, filter string) []string {
	s.t.Helper()
	q, err := logstorage.ParseQuery(filter)
	if err != nil {
		s.t.Fatalf("logstorage does not take %s: %s", filter, err)
	}
	if got := q.String(); strings.Contains(got, " | ") && !strings.Contains(filter, " | ") {
		s.t.Fatalf("a pipe came out of %s: %s", filter, got)
	}
	if q, err = logstorage.ParseQuery(filter + " | fields _id"); err != nil {
		s.t.Fatalf("logstorage does not take a pipe after %s: %s", filter, err)
	}
	var mu sync.Mutex
	ids := []string{}
	err = s.s.RunQuery(context.Background(), []logstorage.TenantID{{AccountID: tenant}}, q, func(_ uint, db *logstorage.DataBlock) {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range db.Columns {
			for _, v := range c.Values {
				ids = append(ids, strings.Clone(v))
			}
		}
	})
	if err != nil {
		s.t.Fatalf("cannot run %s: %s", filter, err)
	}
	slices.Sort(ids)
	return ids
}

// check compares the ids that the matcher and both compilations to LogsQL give, and returns them.
func (s *store) check(tenant uint32, e Expr, events []event.Event) []string {
	s.t.Helper()
	m := Compile(e)
	want := []string{}
	for i := range events {
		if m.Match(&events[i]) {
			want = append(want, events[i].ID)
		}
	}
	slices.Sort(want)
	for _, filter := range []string{LogsQL(e), LogsQLIndexed(e)} {
		if got := s.ids(tenant, filter); !slices.Equal(got, want) {
			s.t.Fatalf("%s\nmatcher %v\nstore   %v\nLogsQL  %s\n%s", Format(e), want, got, filter, describe(events, want, got))
		}
	}
	return want
}

func describe(events []event.Event, want, got []string) string {
	var b strings.Builder
	for i := range events {
		if ev := &events[i]; slices.Contains(want, ev.ID) != slices.Contains(got, ev.ID) {
			b.Write(ev.AppendJSON(nil, nil))
			b.WriteByte('\n')
		}
	}
	return b.String()
}
