package elasticsearch

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tallylog/tally/server/storage"
)

// Bounds of one bulk request.
const (
	bulkBytes = 5 << 20
	bulkDocs  = 2500
)

// Reasons of Usage.Dropped.
const (
	tooOld   = "too_old"
	rejected = "rejected"
)

// bulk is a bulk request under way.
type bulk struct {
	body []byte
	docs []doc
}

// doc is one document of a bulk request, two lines of its body.
type doc struct {
	event int // index into the batch
	index string
	at    int64 // time of the event
	end   int   // of its lines in the body
}

// Append is storage.Store's. The events of a batch go out in several requests at once.
func (s *Store) Append(ctx context.Context, b *storage.Batch) error {
	if err := s.stop.Err(); err != nil {
		return errClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.stop, cancel)()
	b.Rejected = nil
	defer s.appended.Add(1)
	if len(b.Events) == 0 {
		return nil
	}
	if err := s.retry(ctx, func() error { return s.prepare(ctx) }); err != nil {
		return err
	}
	var days map[int]string
	if err := s.retry(ctx, func() (err error) { days, err = s.settleDays(ctx, b); return err }); err != nil {
		return err
	}
	var (
		mu     sync.Mutex
		group  sync.WaitGroup
		failed error
		places = make(chan struct{}, s.o.Requests)
	)
	stored, err := s.again(ctx, b)
	if err != nil {
		return err
	}
	for r := range s.split(b, stored, days) {
		places <- struct{}{}
		group.Go(func() {
			defer func() { <-places }()
			rejections, err := s.send(ctx, r)
			mu.Lock()
			defer mu.Unlock()
			b.Rejected = append(b.Rejected, rejections...)
			if err != nil {
				failed = err
				cancel()
			}
		})
	}
	group.Wait()
	if failed != nil {
		return failed
	}
	slices.SortFunc(b.Rejected, func(a, b storage.Rejection) int { return cmp.Compare(a.Index, b.Index) })
	return nil
}

// again tells which events of a batch are stored, where it may be one that was appended before this store was opened. Mostly Elasticsearch
// finds that out by their ids, but with another configuration they would go to other indices. The feeder works in order, so the first batch
// of which nothing is there ends it.
func (s *Store) again(ctx context.Context, b *storage.Batch) (stored map[string]bool, err error) {
	if s.caughtUp {
		return nil, nil
	}
	ids := make([]string, len(b.Events))
	for i := range b.Events {
		ids[i] = documentID(b.Tenant, &b.Events[i])
	}
	err = s.retry(ctx, func() error {
		stored, err = s.hasDocuments(ctx, ids)
		return err
	})
	s.caughtUp = err == nil && len(stored) == 0
	return stored, err
}

// split yields the events of a batch that are not stored as requests; those that are too old are rejected on the way.
func (s *Store) split(b *storage.Batch, stored map[string]bool, days map[int]string) func(yield func(*bulk) bool) {
	return func(yield func(*bulk) bool) {
		now, limits := time.Now(), s.Limits()
		// Of a batch that would be one request both halves go out at once.
		most := min(bulkDocs, max(500, (len(b.Events)+s.o.Requests-1)/s.o.Requests))
		var enc encoder
		r := &bulk{}
		for i := range b.Events {
			e := &b.Events[i]
			if len(stored) > 0 && stored[documentID(b.Tenant, e)] {
				continue
			}
			class := s.class(b.Tenant, e)
			if age := limits[class].Age; e.Time < 0 || age > 0 && e.Time < now.Add(-age).UnixNano() {
				b.Rejected = append(b.Rejected, storage.Rejection{Index: i, Reason: "older than the retention"})
				s.drop(tooOld, 1)
				continue
			}
			index := days[i]
			if index == "" {
				index = s.name.Of(b.Tenant, shown(class), e)
			}
			r.body = enc.append(r.body, index, s.o.Server, b.Tenant, b.Seq, e)
			r.docs = append(r.docs, doc{i, index, e.Time, len(r.body)})
			if len(r.body) >= bulkBytes || len(r.docs) >= most {
				if !yield(r) {
					return
				}
				r = &bulk{}
			}
		}
		if len(r.docs) > 0 {
			yield(r)
		}
	}
}

func (r *bulk) indices() (names []string) {
	for _, d := range r.docs {
		if len(names) == 0 || names[len(names)-1] != d.index {
			names = append(names, d.index)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// send sends a request until each of its documents is stored or rejected for good.
func (s *Store) send(ctx context.Context, r *bulk) (rejections []storage.Rejection, err error) {
	err = s.retry(ctx, func() error {
		for i := range r.docs {
			if i > 0 && r.docs[i].index == r.docs[i-1].index {
				continue
			}
			if err := s.ensure(ctx, r.docs[i].index, r.docs[i].at); err != nil {
				return err
			}
		}
		left, more, err := s.sendOnce(ctx, r)
		rejections = append(rejections, more...)
		if left != nil {
			r = left
		}
		return err
	})
	return rejections, err
}

// sendOnce returns, with an error, the documents that are left to be sent again.
func (s *Store) sendOnce(ctx context.Context, r *bulk) (left *bulk, rejections []storage.Rejection, err error) {
	answer, err := s.c.do(ctx, http.MethodPost, "/_bulk?filter_path=errors,items.create.status,items.create.error", r.body)
	switch {
	case status(err) == http.StatusRequestEntityTooLarge && len(r.docs) > 1:
		return s.sendHalves(ctx, r)
	case status(err) == http.StatusRequestEntityTooLarge:
		return nil, s.reject(rejections, r.docs[0].event, "larger than what Elasticsearch takes"), nil
	case err != nil:
		return nil, nil, err
	}
	var result struct {
		Errors bool
		Items  []struct {
			Create struct {
				Status int
				Error  *errorBody
			}
		}
	}
	if bytes.HasPrefix(answer, []byte(`{"errors":false`)) {
		return nil, nil, nil
	}
	if err := json.Unmarshal(answer, &result); err != nil {
		return nil, nil, fmt.Errorf("cannot understand the answer of Elasticsearch to a bulk request: %w", err)
	}
	if len(result.Items) != len(r.docs) {
		return nil, nil, fmt.Errorf("the answer of Elasticsearch is for %d of %d documents", len(result.Items), len(r.docs))
	}
	left = &bulk{}
	for i := range r.docs {
		switch item := &result.Items[i].Create; {
		case item.Status < 300, item.Status == http.StatusConflict: // there already
		case item.Error != nil && item.Status == http.StatusBadRequest && ofDocument(item.Error):
			rejections = s.reject(rejections, r.docs[i].event, item.Error.failure(item.Status).Type+": "+item.Error.failure(item.Status).Reason)
		case item.Error != nil:
			left.add(r, i)
			err = item.Error.failure(item.Status)
		default:
			left.add(r, i)
			err = fmt.Errorf("the answer of Elasticsearch for a document is %d", item.Status)
		}
	}
	if len(left.docs) == 0 {
		return nil, rejections, nil
	}
	if f := (*failure)(nil); errors.As(err, &f) && f.Status == http.StatusNotFound {
		s.forget(left.indices())
	}
	return left, rejections, err
}

// sendHalves is sendOnce of a request that was too large.
func (s *Store) sendHalves(ctx context.Context, r *bulk) (left *bulk, rejections []storage.Rejection, err error) {
	rest := &bulk{}
	for _, half := range r.halves() {
		l, more, failed := s.sendOnce(ctx, half)
		rejections = append(rejections, more...)
		if failed == nil {
			continue
		}
		if err = failed; l == nil {
			l = half
		}
		for i := range l.docs {
			rest.add(l, i)
		}
	}
	return rest, rejections, err
}

func (s *Store) reject(list []storage.Rejection, event int, reason string) []storage.Rejection {
	s.drop(rejected, 1)
	return append(list, storage.Rejection{Index: event, Reason: reason})
}

// ofDocument tells whether an item failed for what the document is, and would fail for ever. All other failures may pass.
func ofDocument(e *errorBody) bool {
	switch e.Type {
	case "document_parsing_exception", "mapper_parsing_exception", "strict_dynamic_mapping_exception":
		return true
	case "illegal_argument_exception":
		return strings.Contains(e.Reason, "immense term") || strings.Contains(e.Reason, "bytes can be at most") || strings.Contains(e.Reason, "id is too long") ||
			strings.Contains(e.Reason, "Document contains at least one")
	}
	return false
}

func (r *bulk) lines(i int) []byte {
	start := 0
	if i > 0 {
		start = r.docs[i-1].end
	}
	return r.body[start:r.docs[i].end]
}

func (r *bulk) add(from *bulk, i int) {
	r.body = append(r.body, from.lines(i)...)
	r.docs = append(r.docs, doc{from.docs[i].event, from.docs[i].index, from.docs[i].at, len(r.body)})
}

func (r *bulk) halves() (halves [2]*bulk) {
	halves = [2]*bulk{{}, {}}
	for i := range r.docs {
		halves[2*i/len(r.docs)].add(r, i)
	}
	return halves
}

// Sync is storage.Store's: Elasticsearch acknowledges what is in its translog on disk, so there is nothing left to do.
func (s *Store) Sync(ctx context.Context) error { return ctx.Err() }
