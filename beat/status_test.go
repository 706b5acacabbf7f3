package beat

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/monitoring"

	wire "github.com/tallylog/tally/event"
	"github.com/tallylog/tally/inputs/status"
	"github.com/tallylog/tally/outputs/beatjson"
)

// What the agent tells is what the server takes, however many sources there are and however long their names.
func TestStatusRecord(t *testing.T) {
	b := &status.Board{}
	for range 3 {
		b.Add(func() status.Summary {
			s := status.Summary{Kind: "applog", Unit: "bytes", Open: 2, Known: 2}
			for i := range 50 {
				s.Add(status.Source{Name: "/" + strings.Repeat("long/", 60) + fmt.Sprint(i), ID: "file:x", Position: 7, Lag: 3, Error: strings.Repeat("é", 500)})
			}
			s.Trim()
			return s
		})
	}
	t.Setenv("NODE_NAME", "node-1")
	h := &herald{info: beat.Info{Version: "7.17.29", Beat: "tallybeat", Name: "n", Hostname: "h"}, board: b, config: "abc", started: time.Now(), nodes: func() []string { return slices.Repeat([]string{"a-node-of-a-large-cluster"}, 5000) }}
	e := h.record(time.Now())
	text := beatjson.New("tallybeat", "7.17.29", false).Append(nil, &e)
	decoded, err := new(wire.Decoder).Decode(text)
	if err != nil || decoded.Control == nil || decoded.Control.Kind != wire.ControlStatus || !strings.HasPrefix(decoded.Control.Source, "agent:") {
		t.Fatalf("%+v, %v: %s", decoded, err, text)
	}
	var s struct {
		Version, Node, Config string
		Lag, Open, Errors     int
		Nodes                 struct {
			Count int
			Names []string
		}
		Inputs []struct {
			Kind    string
			Inputs  int
			Sources []struct{ Name, Error string }
		}
	}
	if err := json.Unmarshal([]byte(decoded.Control.Status), &s); err != nil {
		t.Fatal(err)
	}
	if s.Version != "7.17.29" || s.Node != "node-1" || s.Config != "abc" || s.Lag != 450 || s.Open != 6 || s.Errors != 150 ||
		len(s.Inputs) != 1 || s.Inputs[0].Inputs != 3 || len(s.Inputs[0].Sources) == 0 {
		t.Errorf("%+v", s)
	}
	if s.Nodes.Count != 5000 || len(s.Nodes.Names) < 50 {
		t.Errorf("%d nodes, %d named", s.Nodes.Count, len(s.Nodes.Names))
	}
}

func TestStatusMetrics(t *testing.T) {
	b := &status.Board{}
	b.Add(func() status.Summary {
		s := status.Summary{Kind: "applog", Unit: "bytes", Open: 2}
		s.Add(status.Source{Name: "/a.log", ID: "file:x", Position: 7, Lag: 3, Error: "broken"})
		return s
	})
	remove := metricsOf(b)
	stats := monitoring.CollectFlatSnapshot(monitoring.Default, monitoring.Full, true)
	if stats.Ints["tally.applog.open"] != 2 || stats.Ints["tally.applog.lag"] != 3 || stats.Ints["tally.applog.errors"] != 1 {
		t.Errorf("%v", stats.Ints)
	}
	sources := monitoring.CollectFlatSnapshot(monitoring.GetNamespace("dataset").GetRegistry(), monitoring.Full, true)
	if sources.Ints["tally.applog.file:x.position"] != 7 || sources.Strings["tally.applog.file:x.error"] != "broken" {
		t.Errorf("%v %v", sources.Ints, sources.Strings)
	}
	remove()
	if after := monitoring.CollectFlatSnapshot(monitoring.Default, monitoring.Full, true); after.Ints["tally.applog.open"] != 0 {
		t.Error("the metrics stay")
	}
}

func TestFingerprint(t *testing.T) {
	f := func(yaml string) string {
		c, err := common.NewConfigWithYAML([]byte(yaml), "test")
		if err != nil {
			t.Fatal(err)
		}
		return fingerprint(c)
	}
	if a, b := f("a: 1\nb.c: [x, y]"), f("b: {c: [x, y]}\na: 1"); a != b || len(a) != 16 {
		t.Errorf("%q and %q of one configuration", a, b)
	}
	if f("a: 1") == f("a: 2") {
		t.Error("two configurations have one fingerprint")
	}
}
