package beat

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/common/acker"
	"github.com/elastic/beats/v7/libbeat/logp"
	"github.com/elastic/beats/v7/libbeat/monitoring"

	"github.com/tallylog/tally/inputs/hostid"
	"github.com/tallylog/tally/inputs/status"
)

const (
	firstStatus = 2 * time.Second
	statusEvery = 30 * time.Second
	// maxStatus is what the server takes of a status (event/control.go), less some room for its frame.
	maxStatus = 7 << 10
	// maxNodeNames is how much of that the names of nodes may take.
	maxNodeNames = 3 << 10
)

// metricsOf shows the board in the beat's metrics: sums for each kind of input under stats ("tally.applog.lag"), where the beat
// logs them too, and the worst sources by name in the namespace dataset, for which the HTTP page has /dataset.
func metricsOf(b *status.Board) (remove func()) {
	stats, dataset := monitoring.Default, monitoring.GetNamespace("dataset").GetRegistry()
	const name = "tally"
	stats.Remove(name)
	dataset.Remove(name)
	monitoring.NewFunc(stats, name, func(_ monitoring.Mode, v monitoring.Visitor) {
		v.OnRegistryStart()
		defer v.OnRegistryFinished()
		for _, s := range b.Summaries() {
			monitoring.ReportNamespace(v, s.Kind, func() {
				monitoring.ReportInt(v, "inputs", int64(s.Inputs))
				monitoring.ReportInt(v, "open", int64(s.Open))
				monitoring.ReportInt(v, "known", int64(s.Known))
				monitoring.ReportInt(v, "waiting", int64(s.Waiting))
				monitoring.ReportInt(v, "lag", s.Lag)
				monitoring.ReportInt(v, "errors", int64(s.Errors))
				monitoring.ReportInt(v, "lost", s.Lost)
			})
		}
	})
	monitoring.NewFunc(dataset, name, func(_ monitoring.Mode, v monitoring.Visitor) {
		v.OnRegistryStart()
		defer v.OnRegistryFinished()
		for _, s := range b.Summaries() {
			monitoring.ReportNamespace(v, s.Kind, func() {
				for _, src := range s.Sources {
					key := src.ID
					if key == "" {
						key = src.Name
					}
					monitoring.ReportNamespace(v, key, func() {
						monitoring.ReportString(v, "name", src.Name)
						monitoring.ReportInt(v, "position", src.Position)
						monitoring.ReportInt(v, "lag", src.Lag)
						monitoring.ReportString(v, "error", src.Error)
					})
				}
			})
		}
	})
	return func() {
		stats.Remove(name)
		dataset.Remove(name)
	}
}

// fingerprint is a hash of the whole configuration, by which one sees which agents run the same one.
func fingerprint(cfg *common.Config) string {
	var all map[string]any
	if err := cfg.Unpack(&all); err != nil {
		return ""
	}
	text, err := json.Marshal(all) // with its keys in order
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// herald tells Tally how the agent is, as a control record (docs/wire.md), every half minute. At most one is under way.
type herald struct {
	info    beat.Info
	board   *status.Board
	config  string // fingerprint
	nodes   func() []string
	started time.Time
	client  beat.Client
	free    atomic.Bool // nothing is under way
}

// tell begins to tell; stop ends it.
func tell(p beat.PipelineConnector, info beat.Info, board *status.Board, config string, nodes func() []string) (stop func(), err error) {
	h := &herald{info: info, board: board, config: config, nodes: nodes, started: time.Now()}
	h.free.Store(true)
	h.client, err = p.ConnectWith(beat.ClientConfig{
		ACKHandler: acker.Counting(func(int) { h.free.Store(true) }),
	})
	if err != nil {
		return nil, err
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		h.run(end)
	}()
	return func() {
		close(end)
		if err := h.client.Close(); err != nil { // which ends a Publish that waits for room
			logp.NewLogger(info.Beat).Debugf("closing the client of the status: %v", err)
		}
		<-ended
	}, nil
}

func (h *herald) run(end <-chan struct{}) {
	for timer := time.NewTimer(firstStatus); ; timer.Reset(statusEvery) {
		select {
		case <-end:
			timer.Stop()
			return
		case <-timer.C:
		}
		if h.free.CompareAndSwap(true, false) {
			h.client.Publish(h.record(time.Now()))
		}
	}
}

// record is the control record.
func (h *herald) record(now time.Time) beat.Event {
	node := os.Getenv("NODE_NAME")
	if node == "" {
		node = h.info.Name
	}
	s := common.MapStr{
		"version": h.info.Version, "beat": h.info.Beat, "node": node, "hostname": h.info.Hostname, "agent_id": h.info.ID.String(),
		"started": h.started.UTC().Format(time.RFC3339), "config": h.config,
	}
	inputs := h.board.Summaries()
	var lag int64
	open, errors := 0, 0
	for _, in := range inputs {
		lag += in.Lag
		open += in.Open
		errors += in.Errors
	}
	s["lag"], s["open"], s["errors"] = lag, open, errors
	if h.nodes != nil {
		if names := h.nodes(); len(names) > 0 {
			s["nodes"] = common.MapStr{"count": len(names), "names": someOf(names)}
		}
	}
	return beat.Event{
		Timestamp: now, Fields: common.MapStr{"message": "control record"}, // libbeat drops events without fields
		Meta: common.MapStr{"tally": common.MapStr{
			"control": "status", "source": "agent:" + hostid.Get(), "name": node, "status": withInputs(s, inputs),
		}},
	}
}

// someOf returns as many names as maxNodeNames bytes hold, from a place taken by chance: of a large cluster each agent names a part, and
// the server has all from all of them.
func someOf(names []string) []string {
	at, size := rand.IntN(len(names)), 0
	out := []string{}
	for i := range names {
		name := names[(at+i)%len(names)]
		if size += len(name) + 3; size > maxNodeNames {
			break
		}
		out = append(out, name)
	}
	return out
}

// withInputs adds what the inputs tell to a status, with as many sources by name as fit.
func withInputs(s common.MapStr, inputs []status.Summary) common.MapStr {
	for named := status.MaxSources; ; named /= 2 {
		list := make([]interface{}, 0, len(inputs))
		for _, in := range inputs {
			in.Sources = in.Sources[:min(named, len(in.Sources))]
			for i := range in.Sources {
				in.Sources[i].Error = strings.ToValidUTF8(in.Sources[i].Error[:min(200, len(in.Sources[i].Error))], "")
			}
			var m map[string]interface{}
			text, err := json.Marshal(in)
			if err == nil {
				err = json.Unmarshal(text, &m)
			}
			if err == nil {
				list = append(list, m)
			}
		}
		s["inputs"] = list
		if text, err := json.Marshal(s); named == 0 || err == nil && len(text) <= maxStatus {
			return s
		}
	}
}
