package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/internal/durable"
	"github.com/tallylog/tally/internal/failpoint"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/server/deadletter"
	"github.com/tallylog/tally/server/storage"
)

// Bounds of a batch.
const (
	batchEvents = 10_000
	batchBytes  = 16 << 20
)

// Source is a store to copy from. Nothing may be appended to it meanwhile.
type Source interface {
	storage.Searcher
	// Tenants are the numbers of those that may have events, in ascending order.
	Tenants() []uint32
}

// Options of Copy.
type Options struct {
	// File keeps the progress.
	File string
	// Sync is the time between two points that a copy can go on from; 0 means 10 s.
	Sync time.Duration
	// Letters takes the events that the target can never take; nil for none.
	Letters deadletter.Sink
	// Report is told from time to time how far the copy is; nil for nobody.
	Report func(Progress)
}

// Progress is how far a copy is. The file holds the last one whose events the target has durably.
type Progress struct {
	Tenant uint32 `json:"tenant"`           // the lowest of whom not everything is copied
	Cursor string `json:"cursor,omitempty"` // of the source, behind the last event copied
	Done   bool   `json:"done"`             // all of all tenants
	// Seq is the sequence number of the last batch. The numbers begin with 1; a target is opened with After set to it.
	Seq      uint64 `json:"seq"`
	Events   int64  `json:"events"`
	Rejected []Lack `json:"rejected,omitempty"` // what the target did not take
	// Account is the record of the buffer as of which the source is copied: when it changed, a server has run on the source since.
	Account uint64 `json:"account,omitempty"`
}

// ProgressFile is where tally storage copy keeps how far it is, in the data directory that a server is to use afterwards.
const ProgressFile = "copy.json"

// Pending tells whether a data directory has an embedded store that was never copied to its end.
func Pending(dir string) bool {
	if _, err := os.Stat(filepath.Join(dir, "store", "rows")); err != nil {
		return false
	}
	p, err := Load(filepath.Join(dir, ProgressFile))
	return err != nil || !p.Done
}

// Lack is a number of events of a tenant and day (yyyy-mm-dd, UTC).
type Lack struct {
	Tenant uint32 `json:"tenant"`
	Day    string `json:"day"`
	Events int64  `json:"events"`
}

// Load reads the progress of a copy; the zero Progress where there is none yet.
func Load(file string) (p Progress, err error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err != nil {
		return p, fmt.Errorf("cannot read the progress of the copy: %q: %w", file, err)
	}
	return p, nil
}

// Save writes the progress, durably.
func (p *Progress) Save(file string) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := durable.Replace(file, b, 0o600); err != nil {
		return fmt.Errorf("cannot write the progress of the copy: %w", err)
	}
	return nil
}

// Copy copies what p says is not copied yet, and returns how far it came.
func Copy(ctx context.Context, from Source, to storage.Store, p Progress, o Options) (Progress, error) {
	if o.Sync == 0 {
		o.Sync = 10 * time.Second
	}
	c := &copying{from: from, to: to, o: o, p: p, next: time.Now().Add(o.Sync)}
	if p.Done {
		return p, nil
	}
	for _, tenant := range from.Tenants() {
		if tenant < p.Tenant {
			continue
		}
		if tenant > p.Tenant {
			c.p.Tenant, c.p.Cursor = tenant, ""
		}
		for more := true; more; {
			var err error
			if more, err = c.batch(ctx); err != nil {
				return c.p, err
			}
			if more && time.Now().After(c.next) {
				if err := c.sync(ctx); err != nil {
					return c.p, err
				}
			}
		}
		c.p.Tenant, c.p.Cursor = tenant+1, "" // together: a cursor without its tenant's end would begin anew
	}
	c.p.Done = true
	return c.p, c.sync(ctx)
}

type copying struct {
	from Source
	to   storage.Store
	o    Options
	p    Progress
	next time.Time
}

func (c *copying) sync(ctx context.Context) error {
	if err := c.to.Sync(ctx); err != nil {
		return err
	}
	failpoint.Here("copy.synced")
	if err := c.p.Save(c.o.File); err != nil {
		return err
	}
	failpoint.Here("copy.saved")
	if c.o.Report != nil {
		c.o.Report(c.p)
	}
	c.next = time.Now().Add(c.o.Sync)
	return nil
}

var errFull = errors.New("the batch is full")

// batch copies the next events. How they are cut into batches follows from the source and the cursor alone.
func (c *copying) batch(ctx context.Context) (more bool, err error) {
	b := &storage.Batch{Seq: c.p.Seq + 1, Tenant: c.p.Tenant}
	size := 0
	cursor, err := c.from.Rows(ctx, storage.RowsRequest{
		Search: storage.Search{Tenant: c.p.Tenant}, Asc: true, Limit: batchEvents, Cursor: c.p.Cursor,
	}, func(e *event.Event) error {
		if size > batchBytes {
			return errFull
		}
		x, n, err := restored(e)
		size += n
		b.Events = append(b.Events, x)
		return err
	})
	if err != nil && !errors.Is(err, errFull) {
		return false, fmt.Errorf("cannot read the events of tenant %d: %w", c.p.Tenant, err)
	}
	if len(b.Events) == 0 {
		return false, nil
	}
	if err := c.to.Append(ctx, b); err != nil {
		return false, err
	}
	failpoint.Here("copy.appended")
	if err := c.reject(ctx, b); err != nil {
		return false, err
	}
	c.p.Seq, c.p.Cursor, c.p.Events = b.Seq, cursor, c.p.Events+int64(len(b.Events))
	return cursor != "", nil
}

// reject makes letters of what the target did not take, and notes how many of each day.
func (c *copying) reject(ctx context.Context, b *storage.Batch) error {
	letters := make([]deadletter.Letter, len(b.Rejected))
	for i, r := range b.Rejected {
		e := b.Events[r.Index]
		client, _ := e.Get(storage.ClientField)
		letters[i] = deadletter.Letter{Tenant: b.Tenant, Client: client, Time: time.Now().UnixNano(), Stage: deadletter.StageStore, By: "copy", Reason: r.Reason, Event: e}
		day := time.Unix(0, e.Time).UTC().Format(time.DateOnly)
		at := slices.IndexFunc(c.p.Rejected, func(l Lack) bool { return l.Tenant == b.Tenant && l.Day == day })
		if at < 0 {
			at = len(c.p.Rejected)
			c.p.Rejected = append(c.p.Rejected, Lack{Tenant: b.Tenant, Day: day})
		}
		c.p.Rejected[at].Events++
	}
	if c.o.Letters == nil {
		return nil
	}
	return c.o.Letters.Put(ctx, letters)
}

// restored makes of a row the event that was stored: its position is among the fields.
func restored(e *event.Event) (x event.Event, size int, err error) {
	x = event.Event{ID: strings.Clone(e.ID), Time: e.Time, Fields: make([]event.Field, 0, len(e.Fields))}
	number := func(s string) (n int64) {
		if err == nil {
			n, err = strconv.ParseInt(s, 10, 64)
		}
		return n
	}
	p := &x.Position
	for _, f := range e.Fields {
		size += len(f.Name) + len(f.Value)
		switch f.Name {
		case "tally.source":
			p.Source = strings.Clone(f.Value)
		case "tally.from":
			p.From = number(f.Value)
		case "tally.to":
			p.To = number(f.Value)
		case "tally.ranges":
			var pairs [][2]int64
			if err == nil {
				err = json.Unmarshal([]byte(f.Value), &pairs)
			}
			for _, r := range pairs {
				p.Ranges = append(p.Ranges, ledger.Range{From: r[0], To: r[1]})
			}
		default:
			x.Fields = append(x.Fields, event.Field{Name: strings.Clone(f.Name), Value: strings.Clone(f.Value), Kind: f.Kind})
		}
	}
	if err != nil {
		err = fmt.Errorf("position of event %s: %w", e.ID, err)
	}
	return x, size, err
}

// Count is what a tenant has on a day in both stores.
type Count struct {
	Tenant   uint32
	Day      string
	From, To int64
	Rejected int64 // of From, what the target did not take
}

// Lacks tells whether the copy lacks events of that day.
func (c Count) Lacks() bool { return c.To < c.From-c.Rejected }

// Compare counts the events of each tenant and day in both stores.
func Compare(ctx context.Context, from Source, to storage.Searcher, p Progress) ([]Count, error) {
	var all []Count
	for _, tenant := range from.Tenants() {
		days := map[string]*Count{}
		for i, s := range []storage.Searcher{from, to} {
			hits, err := s.Hits(ctx, storage.HitsRequest{Search: storage.Search{Tenant: tenant}, Step: 24 * time.Hour})
			if err != nil {
				return nil, fmt.Errorf("cannot count the events of tenant %d: %w", tenant, err)
			}
			for _, h := range hits {
				day := time.Unix(0, h.Time).UTC().Format(time.DateOnly)
				if days[day] == nil {
					days[day] = &Count{Tenant: tenant, Day: day}
				}
				if i == 0 {
					days[day].From = h.Count
				} else {
					days[day].To = h.Count
				}
			}
		}
		for _, l := range p.Rejected {
			if c := days[l.Day]; c != nil && l.Tenant == tenant {
				c.Rejected = l.Events
			}
		}
		for _, c := range days {
			all = append(all, *c)
		}
	}
	slices.SortFunc(all, func(a, b Count) int {
		if a.Tenant != b.Tenant {
			return int(int64(a.Tenant) - int64(b.Tenant))
		}
		return strings.Compare(a.Day, b.Day)
	})
	return all, nil
}
