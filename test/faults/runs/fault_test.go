package runs

import (
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tallylog/tally/test/rig"
)

// places are the named ones of the server, and how often each is passed in a run, about.
var places = map[string]int{
	"buffer.write.before": 12, "buffer.write.after": 12, "buffer.sync.before": 12, "buffer.sync.after": 12,
	"buffer.segment.created": 1, "buffer.segment.written": 1, "buffer.segment.synced": 1,
	"buffer.remove.before": 1, "buffer.remove.after": 1,
	"checkpoint.created": 1, "checkpoint.written": 1, "checkpoint.synced": 1, "checkpoint.kept": 1, "checkpoint.renamed": 1,
	"store.append.before": 12, "store.append.after": 12, "store.sync.before": 1, "store.sync.after": 1,
	"lumberjack.ack.before": 8, "lumberjack.ack.after": 8, "push.answer.before": 4, "push.answer.after": 4,
}

// fault is what happens to the server once.
type fault struct {
	place   string        // where it ends; empty: wherever it is
	visit   int           // at which visit
	after   time.Duration // when it is ended, if it has not come there
	asked   bool          // it is asked to end, not killed
	slow    bool          // its disk is slow until then
	corrupt bool          // bytes of its buffer change while it is down
}

func (f fault) String() string {
	s := fmt.Sprintf("killed after %v", f.after)
	if f.place != "" {
		s = fmt.Sprintf("killed at %s, visit %d, or after %v", f.place, f.visit, f.after)
	} else if f.asked {
		s = fmt.Sprintf("asked to end after %v", f.after)
	}
	if f.slow {
		s += ", slow syncs"
	}
	if f.corrupt {
		s += ", then corrupted"
	}
	return s
}

// newFaults chooses what happens in a run.
func newFaults(rnd *rand.Rand, names []string) (list []fault) {
	for range 1 + rnd.Intn(2) {
		f := fault{after: time.Duration(100+rnd.Intn(900)) * time.Millisecond, slow: rnd.Intn(6) == 0}
		switch rnd.Intn(8) {
		case 0:
		case 1:
			f.asked = true
		default:
			f.place = names[rnd.Intn(len(names))]
			if places[f.place] == 1 && rnd.Intn(3) > 0 { // fewer of those that take long
				f.place = names[rnd.Intn(len(names))]
			}
			f.visit = 1 + rnd.Intn(places[f.place])
			f.after = 800 * time.Millisecond
			if places[f.place] == 1 { // with a checkpoint, for which the store needs some seconds
				f.after = 8 * time.Second
			}
		}
		f.corrupt = rnd.Intn(10) == 0
		list = append(list, f)
	}
	return list
}

func corrupting(list []fault) bool {
	for _, f := range list {
		if f.corrupt {
			return true
		}
	}
	return false
}

// ground is a server, and the networks before its two ports.
type ground struct {
	t        *testing.T
	s        *rig.Server
	http, lj *network
	hits     map[string]int // how often a place was reached
}

// newGround has a small buffer, so that its segments come and go.
func newGround(t *testing.T, seed int64) *ground {
	s := rig.NewServer(t, t.TempDir(), "buffer: {checkpoint: 1s, max_size: 1MiB}\n")
	return &ground{t: t, s: s, http: newNetwork(t, s.HTTP, seed), lj: newNetwork(t, s.Lumberjack, seed+1), hits: map[string]int{}}
}

// suffer lets the faults happen one after the other, and leaves the server running.
func (g *ground) suffer(list []fault, rnd *rand.Rand) {
	g.http.broken.Store(true)
	g.lj.broken.Store(true)
	for _, f := range list {
		g.s.Env = nil
		env := ""
		if f.place != "" {
			env = fmt.Sprintf("%s=%d", f.place, f.visit)
		}
		if f.slow {
			env += ",slow=30ms"
		}
		if env != "" {
			g.s.Env = []string{"TALLY_FAILPOINT=" + env}
		}
		g.s.Begin()
		for !g.s.Exited() && !g.s.Ready() { // it may end while it starts
			time.Sleep(10 * time.Millisecond)
		}
		for deadline := time.Now().Add(f.after); time.Now().Before(deadline) && !g.s.Exited(); {
			time.Sleep(5 * time.Millisecond)
		}
		switch {
		case g.s.Exited():
			g.hits[f.place]++
		case f.asked:
			if code := g.s.Stop(); code != 0 {
				g.t.Errorf("asked to end, the server ended with %d", code)
			}
		default:
			g.s.Kill()
		}
		if f.corrupt {
			g.corrupt(rnd)
		}
	}
	g.s.Env = nil
	g.http.broken.Store(false)
	g.lj.broken.Store(false)
	g.s.Start()
}

// corrupt changes bytes in the records of a segment.
func (g *ground) corrupt(rnd *rand.Rand) {
	const headers = 4160 // of a segment; damage to them is another test's
	files, err := filepath.Glob(filepath.Join(g.s.Dir, "wal", "*.wal"))
	if err != nil || len(files) == 0 {
		return
	}
	name := files[rnd.Intn(len(files))]
	b, err := os.ReadFile(name)
	if err != nil {
		g.t.Fatal(err)
	}
	if len(b) <= headers {
		return
	}
	at := headers + rnd.Intn(len(b)-headers)
	for i := at; i < min(len(b), at+1+rnd.Intn(16)); i++ {
		b[i] ^= byte(1 + rnd.Intn(255))
	}
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		g.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b[at:min(len(b), at+16)], int64(at)); err != nil {
		g.t.Fatal(err)
	}
}
