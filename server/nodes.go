package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/answer"
)

// paceOver is what a rate is the mean of, at most.
const paceOver = 30 * time.Second

// pace is the rate at which a counter grows.
type pace struct{ milli atomic.Int64 } // thousandths a second

// run looks at the counter until ctx is done.
func (p *pace) run(ctx context.Context, count func() int64) {
	type look struct {
		at time.Time
		n  int64
	}
	looks := []look{{time.Now(), count()}}
	tick := time.NewTicker(paceOver / 6)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case at := <-tick.C:
			looks = append(looks, look{at, count()})
			if len(looks) > 7 {
				looks = looks[1:]
			}
			first, last := looks[0], looks[len(looks)-1]
			p.milli.Store(int64(float64(last.n-first.n) * 1000 / last.at.Sub(first.at).Seconds()))
		}
	}
}

func (p *pace) perSecond() float64 { return float64(p.milli.Load()) / 1000 }

// serverNode is how a server is. Sizes are bytes.
type serverNode struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Started string `json:"started"`
	Ready   bool   `json:"ready"`
	// Waiting are the reasons why intake waits now.
	Waiting []string `json:"waiting"`
	// Warnings are what differs from the other servers, where there are several.
	Warnings []string `json:"warnings"`
	Buffer   struct {
		Bytes       int64  `json:"bytes"`
		MaxBytes    int64  `json:"max_bytes"`
		LagRecords  uint64 `json:"lag_records"` // that the store does not have yet
		Error       string `json:"error,omitempty"`
		LostRecords uint64 `json:"lost_records"` // found corrupt at start
	} `json:"buffer"`
	Store struct {
		Rows     int64            `json:"rows"`
		Bytes    int64            `json:"bytes"`
		RawBytes int64            `json:"raw_bytes"`
		ReadOnly bool             `json:"read_only"`
		Dropped  map[string]int64 `json:"dropped"` // by reason
	} `json:"store"`
	Disk struct {
		Bytes   int64 `json:"bytes"`
		Free    int64 `json:"free"`
		Reserve int64 `json:"reserve"`
	} `json:"disk"`
	Intake struct {
		EventsPerSecond float64 `json:"events_per_second"` // mean of the last half minute
		Events          int64   `json:"events"`            // since the start, as the others
		Duplicates      int64   `json:"duplicates"`
		Conflicts       int64   `json:"conflicts"`
		Failed          int64   `json:"failed"` // batches
		WaitingBatches  int64   `json:"waiting_batches"`
		Connections     int64   `json:"connections"` // of Lumberjack, open
	} `json:"intake"`
	Searches struct {
		Running int   `json:"running"`
		Waiting int   `json:"waiting"`
		Refused int64 `json:"refused"`
		Tails   int   `json:"tails"`
	} `json:"searches"`
	Memory     uint64 `json:"memory"` // held by the program
	Processors int    `json:"processors"`
}

// callNode is what servers ask each other for: how they are.
const callNode = "node"

// nodes answers with how this server and, where there are several, the others are.
func (s *Server) nodes(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	list := []serverNode{s.node(ctx)}
	if s.group != nil {
		list = append(list, s.otherNodes(ctx)...)
		slices.SortFunc(list, func(a, b serverNode) int { return strings.Compare(a.Name, b.Name) })
	}
	answer.JSON(w, http.StatusOK, map[string]any{"nodes": list})
}

// otherNodes asks the others. One that does not answer is listed with that.
func (s *Server) otherNodes(ctx context.Context) (list []serverNode) {
	var mu sync.Mutex
	var group sync.WaitGroup
	for id, m := range s.group.Members() {
		if id == s.group.ID() {
			continue
		}
		group.Go(func() {
			n := serverNode{}
			b, err := s.group.Call(ctx, id, callNode, nil)
			if err == nil {
				err = json.Unmarshal(b, &n)
			}
			if err != nil {
				n = serverNode{Name: m.Name, Version: m.Version, Started: m.Started, Waiting: []string{"it does not answer the server that was asked"}, Warnings: []string{}}
				n.Store.Dropped = map[string]int64{}
			}
			mu.Lock()
			defer mu.Unlock()
			list = append(list, n)
		})
	}
	group.Wait()
	for _, a := range s.group.Absent() {
		n := serverNode{Name: a.Name, Waiting: []string{fmt.Sprintf("it has not been heard of since %s; what it acknowledged and did not store is in its data directory: start it again with it", event.FormatTime(a.Since*1e6))}, Warnings: []string{}}
		n.Store.Dropped = map[string]int64{}
		list = append(list, n)
	}
	return list
}

// name is that of this server in lists.
func (s *Server) name() string {
	if name := s.o.Config.Storage.Cluster.Name; name != "" {
		return name
	}
	name, _ := os.Hostname() // empty where it is not known
	return name
}

// node is how this server is.
func (s *Server) node(ctx context.Context) serverNode {
	n := serverNode{Version: s.o.Version, Started: s.started.UTC().Format(time.RFC3339), Ready: s.ready.Load(), Waiting: []string{}, Warnings: s.warnings(), Processors: runtime.NumCPU()}
	n.Name = s.name()
	if s.group != nil {
		if _, valid := s.group.Held(); !valid {
			n.Waiting = append(n.Waiting, "this server has no lease: it cannot reach Elasticsearch, or was away; what has an identity is not acknowledged here")
		}
	}
	b := &n.Buffer
	b.Bytes, b.MaxBytes = s.wal.Bytes(), int64(s.o.Config.Buffer.MaxBytes)
	lag, err := s.admit.Lag()
	b.LagRecords = uint64(lag)
	if err != nil {
		b.Error = err.Error()
		n.Waiting = append(n.Waiting, "the store refuses records: "+b.Error)
	}
	for _, l := range s.wal.Lost() {
		b.LostRecords += l.Last - l.First + 1
	}
	u, err := s.admit.Store().Usage(ctx)
	if err != nil {
		n.Ready = false
		n.Waiting = append(n.Waiting, "the store does not answer")
	}
	n.Store.Rows, n.Store.Bytes, n.Store.RawBytes, n.Store.ReadOnly, n.Store.Dropped = int64(u.Rows), int64(u.Bytes), int64(u.RawBytes), u.ReadOnly, map[string]int64{}
	for reason, count := range u.Dropped {
		n.Store.Dropped[reason] = int64(count)
	}
	if u.ReadOnly {
		n.Waiting = append(n.Waiting, u.ReadOnlyWhy)
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(s.o.Dir, &st); err == nil {
		n.Disk.Bytes, n.Disk.Free = int64(st.Blocks)*st.Bsize, int64(st.Bavail)*st.Bsize
	}
	n.Disk.Reserve = s.reserve
	a := &s.admit.Stats
	n.Intake.EventsPerSecond, n.Intake.Events, n.Intake.Duplicates, n.Intake.Conflicts = s.pace.perSecond(), a.Events.Load(), a.Duplicates.Load(), a.Conflicts.Load()
	n.Intake.Failed, n.Intake.WaitingBatches, n.Intake.Connections = a.Failed.Load(), a.Waiting.Load(), s.lj.Stats.Open.Load()
	q, t := s.api.Searches(), s.api.Tails()
	n.Searches.Running, n.Searches.Waiting, n.Searches.Refused, n.Searches.Tails = q.Running, q.Waiting, q.Refused, t.Running
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	n.Memory = m.Sys - m.HeapReleased
	return n
}
