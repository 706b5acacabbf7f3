package elasticsearch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"

	"github.com/tallylog/tally/server/retention"
	"github.com/tallylog/tally/server/storage"
	"github.com/tallylog/tally/server/storage/elasticsearch/indices"
)

var errClosed = errors.New("the store is closed")

// Store is a storage.Store in Elasticsearch.
type Store struct {
	o      Options
	c      *client
	name   indices.Names
	alias  string
	state  state
	limits atomic.Pointer[limits]
	days   *Documents // nil where this server is the only one

	caughtUp bool // the feeder's own: what comes now was not appended before

	stop    context.Context // done when Close begins
	stopped context.CancelFunc
	tasks   sync.WaitGroup

	mu       sync.Mutex
	prepared bool            // the template is there
	known    map[string]bool // indices that are there and ours
	dropped  map[string]int64
	classes  map[string]*class            // those of the options, and of the template once it is there; never changed, but replaced
	counted  map[string]storage.Partition // by name of the index: Rows and Shares

	templateMu sync.Mutex // held while the template is read and written

	appended  atomic.Uint64 // calls of Append that have returned
	refreshMu sync.Mutex
	refreshed uint64 // of those, known to be searchable; under refreshMu
}

var _ storage.Store = (*Store)(nil)

// Open makes a store of the cluster. The cluster need not be there: until it is, Append waits and searches fail.
func Open(o Options) (*Store, error) {
	name, err := o.setDefaults()
	if err != nil {
		return nil, err
	}
	c, err := newClient(&o)
	if err != nil {
		return nil, err
	}
	s := &Store{o: o, c: c, name: name, alias: name.Alias(), state: state{log: o.Log}, known: map[string]bool{}, dropped: map[string]int64{}, counted: map[string]storage.Partition{}}
	s.SetRetention(retention.Limit{Age: o.Retention, Size: o.MaxBytes}, o.Rules)
	s.stop, s.stopped = context.WithCancel(context.Background())
	s.appended.Store(1) // a process before this one may have written
	if o.Server != "" {
		s.days = &Documents{c: c, index: systemPrefix + "days"}
		s.tasks.Go(s.forgetDays)
	}
	return s, nil
}

// ensure makes sure that an index is there and ours. One that it makes is for events like that of the time at.
func (s *Store) ensure(ctx context.Context, name string, at int64) error {
	s.mu.Lock()
	done := s.known[name]
	s.mu.Unlock()
	if done {
		return nil
	}
	path := "/" + url.PathEscape(name)
	var there map[string]struct {
		Aliases  map[string]json.RawMessage
		Mappings struct {
			Meta struct {
				Layout int `json:"tally_layout"`
			} `json:"_meta"`
		}
	}
	err := s.c.get(ctx, http.MethodGet, path, nil, &there)
	switch {
	case status(err) == http.StatusNotFound:
		_, err := s.c.do(ctx, http.MethodPut, path, mustJSON(s.index(s.name.Until(at))))
		var f *failure
		if errors.As(err, &f) && f.Type == "resource_already_exists_exception" {
			return s.ensure(ctx, name, at) // another server was first
		}
		if err != nil {
			return fmt.Errorf("cannot create index %q: %w", name, err)
		}
	case err != nil:
		return fmt.Errorf("cannot look at index %q: %w", name, err)
	default:
		index := there[name]
		if index.Mappings.Meta.Layout != layoutVersion {
			return fmt.Errorf("cannot use index %q: %w", name, errLayout)
		}
		if _, ok := index.Aliases[s.alias]; !ok {
			if _, err := s.c.do(ctx, http.MethodPut, path+"/_alias/"+url.PathEscape(s.alias), nil); err != nil {
				return fmt.Errorf("cannot add index %q to those searched: %w", name, err)
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[name] = true
	return nil
}

func (s *Store) forget(names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range names {
		delete(s.known, n)
	}
}

func (s *Store) drop(reason string, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropped[reason] += n
}

// settle makes what was appended before part of the answers that follow.
func (s *Store) settle(ctx context.Context) error {
	if s.stop.Err() != nil {
		return errClosed
	}
	if err := ended(ctx); err != nil {
		return err
	}
	if s.o.Server != "" {
		s.appended.Add(1) // others may have written
	}
	want := s.appended.Load()
	s.refreshMu.Lock() // searches that come together share one refresh
	defer s.refreshMu.Unlock()
	if s.refreshed >= want {
		return nil
	}
	want = s.appended.Load()
	if _, err := s.c.do(ctx, http.MethodPost, s.path("_refresh"), nil); err != nil && status(err) != http.StatusNotFound {
		return searchError(ctx, err)
	}
	s.refreshed = want
	return nil
}

// path is that of an operation on all indices of the store, of which there may be none yet.
func (s *Store) path(operation string) string {
	return "/" + url.PathEscape(s.alias) + "/" + operation + "?ignore_unavailable=true&allow_no_indices=true"
}

// Close is storage.Store's.
func (s *Store) Close() error {
	s.stopped()
	s.tasks.Wait()
	return nil
}
