package journald

import (
	"maps"
	"sync"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common/acker"
)

// Positions keeps where reading goes on after a restart; *positions.Store is one. Values are stored as JSON. Set is seen by
// Get at once; it is durable only when a later Sync has returned, or by itself soon after. All methods may be called from
// several goroutines.
type Positions interface {
	Get(key string, v any) (bool, error)
	Set(key string, v any) error
	Sync() error
	Range(prefix string, f func(key string, raw []byte) error) error
}

// position is the stored state of one source in one path of one input.
type position struct {
	// Source is the name in the ledger. It is kept, so that a new product_uuid or machine-id does not rename the source.
	Source string `json:"source"`
	// Next is the sequence number that reading goes on from; all below are shipped, skipped, or reported lost, but for
	// those in Held.
	Next uint64 `json:"next"`
	// Skipped is the number of units right before Next that were passed over and are in no shipped event's position yet.
	Skipped uint64 `json:"skipped"`
	// Cursor is that of the last entry read before Next; empty where none was read (reading began at the tail).
	Cursor string `json:"cursor,omitempty"`
	// Read is where reading of a source that begins at the tail each time had come to, see unfinished; 0 for all others.
	Read uint64 `json:"read,omitempty"`
	// Volatile says that the files are in memory (/run): journald may copy them to another journal, see flush.go.
	Volatile bool `json:"volatile,omitempty"`
	// Held are entries before Next which were read but not shipped: pieces of messages whose last piece is to come.
	Held []piece `json:"held,omitempty"`
	// Cut has, by the first number of a joined message, the number of the piece after which a timeout ended it. It is
	// written before the message is shipped, so that a replay ends it at the same place.
	Cut map[uint64]uint64 `json:"cut,omitempty"`
}

// piece is a held entry, with the number of units right before it that were passed over.
type piece struct {
	Seq     uint64 `json:"seq"`
	Skipped uint64 `json:"skipped,omitempty"`
	// Monotonic and Sum are kept of an entry of a journal in memory: they find its copy where journald flushes it to disk.
	Monotonic uint64 `json:"monotonic,omitempty"`
	Sum       uint64 `json:"sum,omitempty"`
}

// state is what of a position changes with each entry, in the form that is cheap to make. Which entries are held then is in holds,
// under the version.
type state struct {
	next, skipped uint64
	last          cursor
	version       uint64
}

// mark travels with an event as its Private value: the state to store when the event, and all before it, are acknowledged.
type mark struct {
	account *account
	at      state
	cuts    []uint64 // the first numbers of what a timeout ended in this event
	// control marks a control record, which moves no position.
	control bool
	// dropped is set when a processor dropped the event, whose units then count as skipped: skippedThen.
	dropped     bool
	skippedThen uint64
}

// account stores the position of one source as acknowledgements come. Its methods may be called from several goroutines.
type account struct {
	key    string
	source string
	// volatile: see position.Volatile.
	volatile bool
	store    Positions
	fail     func(error) // told when a position could not be stored; reading goes on

	mu        sync.Mutex
	published *mark // the last event handed to the pipeline, nil when it was acknowledged
	after     *state
	stored    state   // what was stored last
	held      []piece // then
	holds     holds
	cuts      map[uint64]uint64
	trail     trail
	readAll   bool // the source has read what there is, up to the number readTo
	readTo    uint64
	read      uint64          // position.Read
	pending   map[uint64]bool // held entries of another program's pending file
}

func (a *account) set(s state) error {
	a.stored = s
	a.held = a.holds.at(s.version)
	a.trail.add(s, a.held)
	p := position{Source: a.source, Next: s.next, Skipped: s.skipped, Held: a.held, Cut: maps.Clone(a.cuts), Volatile: a.volatile, Read: a.read}
	if !s.last.seqID.isZero() {
		p.Cursor = s.last.String()
	}
	return a.store.Set(a.key, p)
}

func (a *account) try(s state) {
	if err := a.set(s); err != nil {
		a.fail(err)
	}
}

// begin stores the place where reading begins, durably.
func (a *account) begin(s state) error {
	a.mu.Lock()
	err := a.set(s)
	a.mu.Unlock()
	if err != nil {
		return err
	}
	return a.store.Sync()
}

// end notes, durably, with which piece messages end, by the number of their first. It moves nothing else.
func (a *account) end(ends map[uint64]uint64) error {
	a.mu.Lock()
	if a.cuts == nil {
		a.cuts = map[uint64]uint64{}
	}
	maps.Copy(a.cuts, ends)
	err := a.set(a.stored)
	a.mu.Unlock()
	if err != nil {
		return err
	}
	return a.store.Sync()
}

// hold notes that an entry is read and not shipped yet. It is held already if it is read again.
func (a *account) hold(p piece) {
	a.mu.Lock()
	a.holds.add(p)
	a.mu.Unlock()
}

// release notes that held entries are about to be shipped, or have been reported.
func (a *account) release(seqs ...uint64) {
	a.mu.Lock()
	for _, seq := range seqs {
		a.holds.remove(seq)
	}
	a.mu.Unlock()
}

func (a *account) releaseAll() {
	a.mu.Lock()
	a.holds.removeAll()
	a.mu.Unlock()
}

// version is the one of the entries that are held now.
func (a *account) version() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.holds.version
}

// settled tells whether everything before the number next is acknowledged, or passed over.
func (a *account) settled(next uint64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.published == nil && a.stored.next >= next && len(a.holds.now) == 0
}

// settledBut tells the same, where some entries may be held.
func (a *account) settledBut(next uint64, held map[uint64]uint64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for seq := range a.holds.now {
		if _, ok := held[seq]; !ok {
			return false
		}
	}
	return a.published == nil && a.stored.next >= next
}

// onDisk notes that the source is in memory no more.
func (a *account) onDisk() {
	a.mu.Lock()
	a.volatile = false
	a.mu.Unlock()
}

// publishing notes that the event with m is about to be handed to the pipeline.
func (a *account) publishing(m *mark) {
	a.mu.Lock()
	a.published, a.after = m, nil
	a.mu.Unlock()
}

// passed notes that everything before s.next is dealt with, apart from events that are not acknowledged yet.
func (a *account) passed(s state) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.published != nil {
		a.after = &s
		return
	}
	a.try(s)
}

// acknowledged takes a call's acknowledgements: it stores the state of m, the last of the source's marks that move the position
// (nil where there is none), and forgets cuts. last is the last mark of all. shipped is false where all events were dropped by a
// processor: the state after them is stored at the end of the batch that is being read, for which passed is called.
func (a *account) acknowledged(last, m *mark, cuts []uint64, shipped bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, first := range cuts {
		delete(a.cuts, first)
	}
	if last == a.published {
		after := a.after
		a.published, a.after = nil, nil
		if after != nil {
			a.try(*after)
			return
		}
		if !shipped {
			return
		}
	}
	if m != nil {
		a.try(m.at)
	}
}

// ackHandler receives the acknowledgements of one client. The pipeline acknowledges in the order of publishing, so the
// last mark of a source stands for those before it.
type ackHandler struct{ beat.ACKer }

func newACKHandler() beat.ACKer {
	return ackHandler{acker.EventPrivateReporter(func(_ int, data []any) {
		type done struct {
			last, moves *mark
			cuts        []uint64
			shipped     bool
		}
		by := map[*account]*done{}
		for _, private := range data {
			m, ok := private.(*mark)
			if !ok {
				continue
			}
			d := by[m.account]
			if d == nil {
				d = &done{}
				by[m.account] = d
			}
			d.last = m
			if m.control {
				continue
			}
			d.moves = m
			d.shipped = d.shipped || !m.dropped
			d.cuts = append(d.cuts, m.cuts...)
		}
		for a, d := range by {
			a.acknowledged(d.last, d.moves, d.cuts, d.shipped)
		}
	})}
}

// AddEvent is called within Publish, after the processors.
func (h ackHandler) AddEvent(event beat.Event, published bool) {
	if m, ok := event.Private.(*mark); ok && !published && !m.control {
		m.dropped = true
		m.at.skipped = m.skippedThen
	}
	h.ACKer.AddEvent(event, published)
}
