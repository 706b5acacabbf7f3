package route

import (
	"testing"

	"github.com/tallylog/tally/processors/processortest"
)

func TestKit(t *testing.T) { processortest.Check(t, "route", New) }

func TestProcess(t *testing.T) {
	f := processortest.Rows(t, New)
	f(`dataset: nginx.access`, `{"a":"x"}`, `{"a":"x","data_stream":{"dataset":"nginx.access"}}`)
	f(`{type: logs, dataset: "%{[kubernetes.labels.app]:other}", namespace: "n_%{[a]}"}`, `{"a":"My/App-1"}`, `{"a":"My/App-1","data_stream":{"type":"logs","dataset":"other","namespace":"n_my_app_1"}}`)
	f(`dataset: "%{[z]}"`, `{"a":"x"}`, `{"a":"x","data_stream":{"dataset":"default"}}`)
	if got := processortest.Make(t, New, `{dataset: "a.%{[b]:c}", tenant: "%{[d]}"}`).String(); got != "route=[dataset=a.%{[b]:c}, tenant=%{[d]}]" {
		t.Errorf("it says %q of itself", got)
	}
	processortest.Refused(t, New)("{}\n", "type, dataset, namespace or tenant is wanted")
	processortest.Refused(t, New)("dataset: '%{[a}'\n", "a field is written")
}

func TestTenant(t *testing.T) {
	p := processortest.Make(t, New, `{tenant: "%{[team]:}"}`)
	for in, want := range map[string]string{`{"team":"blue"}`: "blue", `{"a":"x"}`: ""} {
		e := processortest.Event(t, in)
		if keep, err := p.Process(&e); !keep || err != nil || e.Tenant != want || len(e.Fields) != 1 {
			t.Errorf("%s: tenant %q, want %q (%t, %v)", in, e.Tenant, want, keep, err)
		}
	}
	processortest.Refused(t, New)("tenant: '%{[a}'\n", "a field is written")
}

func BenchmarkProcess(b *testing.B) {
	processortest.Bench(b, processortest.Make(b, New, `dataset: "%{[app]}"`), `{"message":"m","app":"shop"}`)
}

func FuzzConfig(f *testing.F) {
	processortest.FuzzConfig(f, New, `dataset: "%{[message]:x}-%{[a]}"`, `{tenant: "%{[a]:}", type: logs}`, `dataset: "%{[a"`, `dataset: "%{[a]b}"`)
}

func FuzzProcess(f *testing.F) {
	processortest.Fuzz(f, New, `dataset: "%{[message]:x}"`, "My/App-1", "\xff\x00", "é失")
}
