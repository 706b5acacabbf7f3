package admit

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"sync"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/buffer"
	"github.com/tallylog/tally/server/storage"
)

// bug is a mistake planted around admission, to see that the fault runs find it.
type bug struct {
	ackBeforeSync      bool // a write counts as durable at once
	bySeqWithoutDay    bool // the store knows a record again by its number alone, though days become durable one by one
	maximum            bool // the account keeps only how far a source has come
	checkpointUnsynced bool // a checkpoint is taken though the store is not durable
	ackWithFirst       bool // a duplicate is acknowledged while the first is being written
	refuseByRange      bool // what lies in a known range is refused, whatever its id
	dropBeforeLedger   bool // segments go as soon as the store is durable
}

var errPower = errors.New("the power is gone")

// world is a machine whose power fails: a log and a store in memory, which lose what was not synced.
type world struct {
	bug
	mu    sync.Mutex
	rnd   *rand.Rand
	left  int    // operations until the power fails; below 0 never
	dead  bool   //
	off   func() // called when the power fails
	gone  error  // a record that was wanted and is not there
	log   []logged
	last  uint64
	parts map[part]*rows
	ids   map[string]int // rows that the store has, by id
}

type logged struct {
	seq     uint64
	payload []byte
	synced  bool
}

// part is what a store makes durable at a time: the rows of one record and one day.
type part struct {
	seq uint64
	day int64
}

type rows struct {
	ids     []string
	durable bool
}

func newWorld(seed int64, b bug) *world {
	return &world{bug: b, rnd: rand.New(rand.NewSource(seed)), left: -1, parts: map[part]*rows{}, ids: map[string]int{}}
}

// op counts an operation; w.mu is held. It fails when the power does.
func (w *world) op() error {
	if w.left == 0 && !w.dead {
		w.dead = true
		w.off()
	}
	w.left--
	if w.dead {
		return errPower
	}
	return nil
}

// restart loses what was not synced: of the log its end, of the store any part.
func (w *world) restart() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.log {
		if !w.log[i].synced && w.rnd.Intn(2) == 0 {
			w.log = w.log[:i]
			break
		}
		w.log[i].synced = true
	}
	w.last = 0
	if n := len(w.log); n > 0 {
		w.last = w.log[n-1].seq
	}
	for p, r := range w.parts {
		if w.last = max(w.last, p.seq); !r.durable && w.rnd.Intn(2) == 0 {
			for _, id := range r.ids {
				w.ids[id]--
			}
			delete(w.parts, p)
			continue
		}
		r.durable = true
	}
	w.dead, w.left = false, -1
}

func (w *world) Write(payload ...[]byte) (buffer.Location, func() error, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.op(); err != nil {
		return buffer.Location{}, nil, err
	}
	var all []byte
	for _, p := range payload {
		all = append(all, p...)
	}
	w.last++
	seq := w.last
	w.log = append(w.log, logged{seq: seq, payload: all})
	return buffer.Location{Seq: seq}, func() error {
		if w.ackBeforeSync {
			return nil
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if err := w.op(); err != nil {
			return err
		}
		for i := range w.log {
			w.log[i].synced = w.log[i].synced || w.log[i].seq <= seq
		}
		return nil
	}, nil
}

func (w *world) Read(l buffer.Location) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.log {
		if r.seq == l.Seq {
			return r.payload, nil
		}
	}
	w.gone = fmt.Errorf("record %d is gone before the store has it", l.Seq)
	w.off()
	return nil, w.gone
}

func (w *world) Replay(after uint64, f func(buffer.Location, []byte) error) error {
	var shared []byte // as the real one does, it gives every record the same memory
	for _, r := range w.log {
		if r.seq > after {
			shared = append(shared[:0], r.payload...)
			if err := f(buffer.Location{Seq: r.seq}, shared); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *world) Truncate(upto uint64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drop(upto)
	return nil
}

func (w *world) drop(upto uint64) {
	for len(w.log) > 0 && w.log[0].seq <= upto {
		w.log = w.log[1:]
	}
}

func (w *world) Lost() []buffer.SeqRange { return nil }
func (w *world) Last() uint64            { return w.last }
func (w *world) Bytes() int64            { return 0 }

// simStore is the world's store.
type simStore struct {
	storage.Searcher
	w *world
}

func (s simStore) Append(_ context.Context, b *storage.Batch) error {
	w := s.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.op(); err != nil {
		return err
	}
	if w.bySeqWithoutDay {
		for p := range w.parts {
			if p.seq == b.Seq {
				return nil
			}
		}
	}
	fresh := map[int64]*rows{}
	for i := range b.Events {
		e := &b.Events[i]
		p := part{b.Seq, e.Time / 86400e9}
		if w.parts[p] != nil && fresh[p.day] == nil {
			continue
		}
		if fresh[p.day] == nil {
			fresh[p.day] = &rows{}
			w.parts[p] = fresh[p.day]
		}
		fresh[p.day].ids = append(fresh[p.day].ids, e.ID)
		w.ids[e.ID]++
	}
	return nil
}

func (s simStore) Sync(context.Context) error {
	w := s.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.op(); err != nil {
		return err
	}
	if !w.checkpointUnsynced {
		for _, r := range w.parts {
			r.durable = true
		}
	}
	if w.dropBeforeLedger {
		w.drop(w.last)
	}
	return w.op() // the power may fail between store and checkpoint
}

func (s simStore) Has(_ context.Context, _ uint32, ids []string) (map[string]bool, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	if err := s.w.op(); err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, id := range ids {
		if s.w.refuseByRange || s.w.ids[id] > 0 {
			out[id] = true
		}
	}
	return out, nil
}

func (s simStore) Recover(context.Context, uint64, func(uint32, *event.Event) error) error {
	return nil
}
func (s simStore) Usage(context.Context) (storage.Usage, error) { return storage.Usage{}, nil }
func (s simStore) Close() error {
	for _, r := range s.w.parts {
		r.durable = true
	}
	return nil
}
