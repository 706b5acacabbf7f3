package elasticsearch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/tallylog/tally/server/documents"
)

// systemPrefix begins the names of the indices in which several servers keep what they share. The ~ is in no index of events, whose
// names come from cleaned texts, and they are not in the alias that is searched: neither queries nor retention see them.
const systemPrefix = "tally-system~"

// What the documents are made of, and the error of one that was changed.
var ErrChanged = documents.ErrChanged

type (
	Version  = documents.Version
	Document = documents.Document
)

// Documents are small documents under names, in an index of their own, which Elasticsearch keeps but does not look into. One shard and no
// cache: what Get and Put say is so for everybody.
type Documents struct {
	c     *client
	index string
	mu    sync.Mutex
	made  bool
}

// OpenDocuments uses the documents of a kind, of which the cluster of o need not be there yet.
func OpenDocuments(o Options, kind string) (*Documents, error) {
	if _, err := o.setDefaults(); err != nil {
		return nil, err
	}
	c, err := newClient(&o)
	if err != nil {
		return nil, err
	}
	return &Documents{c: c, index: systemPrefix + kind}, nil
}

// systemTemplate keeps the template of the events, whose pattern the names match too, away from the system indices: the higher priority
// wins as a whole.
func systemTemplate() object {
	return object{"index_patterns": []string{systemPrefix + "*"}, "priority": 1_000_000, "template": object{
		"settings": object{"index": object{"number_of_shards": 1, "auto_expand_replicas": "0-1", "hidden": true}},
		"mappings": object{"dynamic": false, "properties": object{"at": object{"type": "long"}}},
	}}
}

// make makes sure that the index is there.
func (d *Documents) make(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.made {
		return nil
	}
	if _, err := d.c.do(ctx, http.MethodPut, "/_index_template/tally-system", mustJSON(systemTemplate())); err != nil {
		return fmt.Errorf("cannot put the template of the system indices: %w", err)
	}
	var f *failure
	if _, err := d.c.do(ctx, http.MethodPut, "/"+url.PathEscape(d.index), nil); err != nil && !(errors.As(err, &f) && f.Type == "resource_already_exists_exception") {
		return fmt.Errorf("cannot create index %q: %w", d.index, err)
	}
	d.made = true
	return nil
}

func (d *Documents) path(operation, id string) string {
	return "/" + url.PathEscape(d.index) + "/" + operation + "/" + url.PathEscape(id)
}

// Get returns a document, or one without a version where there is none.
func (d *Documents) Get(ctx context.Context, id string) (Document, error) {
	if err := d.make(ctx); err != nil {
		return Document{}, err
	}
	var a found
	if err := d.c.get(ctx, http.MethodGet, d.path("_doc", id), nil, &a); err != nil && status(err) != http.StatusNotFound {
		return Document{}, fmt.Errorf("cannot read %q of %q: %w", id, d.index, err)
	}
	return a.document(id), nil
}

// found is a document as Elasticsearch returns it.
type found struct {
	ID     string          `json:"_id"`
	Seq    int64           `json:"_seq_no"`
	Term   int64           `json:"_primary_term"`
	Source json.RawMessage `json:"_source"`
}

func (f *found) document(id string) Document {
	if f.Source == nil {
		return Document{ID: id}
	}
	return Document{ID: id, Body: f.Source, Version: Version{Seq: f.Seq, Primary: f.Term}}
}

// Put replaces the document whose version the caller knows, or makes it where that is zero, durably. It returns the new version, or
// ErrChanged.
func (d *Documents) Put(ctx context.Context, id string, body []byte, v Version) (Version, error) {
	if err := d.make(ctx); err != nil {
		return v, err
	}
	path := d.path("_create", id)
	if v.Primary > 0 {
		path = fmt.Sprintf("%s?if_seq_no=%d&if_primary_term=%d", d.path("_doc", id), v.Seq, v.Primary)
	}
	var a found
	err := d.c.get(ctx, http.MethodPut, path, body, &a)
	if status(err) == http.StatusConflict {
		return v, ErrChanged
	}
	if err != nil {
		return v, fmt.Errorf("cannot write %q of %q: %w", id, d.index, err)
	}
	return Version{Seq: a.Seq, Primary: a.Term}, nil
}

// Set writes a document whatever it was before.
func (d *Documents) Set(ctx context.Context, id string, body []byte) error {
	if err := d.make(ctx); err != nil {
		return err
	}
	if _, err := d.c.do(ctx, http.MethodPut, d.path("_doc", id), body); err != nil {
		return fmt.Errorf("cannot write %q of %q: %w", id, d.index, err)
	}
	return nil
}

// changesAtOnce bounds what Changes reads in one request.
const changesAtOnce = 1000

// Changes calls f for each document that was written behind the sequence number after (-1: for all), in the order of writing, as it is
// now. It sees every write that was answered before.
func (d *Documents) Changes(ctx context.Context, after int64, f func(Document) error) error {
	if err := d.make(ctx); err != nil {
		return err
	}
	base := "/" + url.PathEscape(d.index)
	if _, err := d.c.do(ctx, http.MethodPost, base+"/_refresh", nil); err != nil {
		return fmt.Errorf("cannot refresh %q: %w", d.index, err)
	}
	for {
		body := object{"size": changesAtOnce, "seq_no_primary_term": true, "sort": []object{{"_seq_no": "asc"}},
			"query": object{"range": object{"_seq_no": object{"gt": after}}}, "track_total_hits": false}
		var a struct {
			Hits struct{ Hits []found }
		}
		if err := d.c.get(ctx, http.MethodPost, base+"/_search", mustJSON(body), &a); err != nil {
			return fmt.Errorf("cannot search %q: %w", d.index, err)
		}
		for i := range a.Hits.Hits {
			h := &a.Hits.Hits[i]
			if err := f(h.document(h.ID)); err != nil {
				return err
			}
			after = h.Seq
		}
		if len(a.Hits.Hits) < changesAtOnce {
			return nil
		}
	}
}

// CreateAll makes those of the documents that are not there yet, durably, and returns for each its body as it is now: the given one, or that of
// whoever was first.
func (d *Documents) CreateAll(ctx context.Context, ids []string, bodies [][]byte) ([]json.RawMessage, error) {
	if err := d.make(ctx); err != nil {
		return nil, err
	}
	var b strings.Builder
	for i, id := range ids {
		fmt.Fprintf(&b, `{"create":{"_id":%s}}`+"\n%s\n", mustJSON(id), bodies[i])
	}
	var a struct {
		Items []struct {
			Create struct {
				Status int
				Error  *errorBody
			}
		}
	}
	base := "/" + url.PathEscape(d.index)
	if err := d.c.get(ctx, http.MethodPost, base+"/_bulk?filter_path=items.create.status,items.create.error", []byte(b.String()), &a); err != nil {
		return nil, fmt.Errorf("cannot write to %q: %w", d.index, err)
	}
	if len(a.Items) != len(ids) {
		return nil, fmt.Errorf("answers for %d of %d documents came from Elasticsearch", len(a.Items), len(ids))
	}
	all := make([]json.RawMessage, len(ids))
	var there []string
	for i := range a.Items {
		switch it := &a.Items[i].Create; {
		case it.Status < 300:
			all[i] = bodies[i]
		case it.Status == http.StatusConflict:
			there = append(there, ids[i])
		case it.Error != nil:
			return nil, it.Error.failure(it.Status)
		default:
			return nil, fmt.Errorf("a document was answered with %d by Elasticsearch", it.Status)
		}
	}
	if len(there) == 0 {
		return all, nil
	}
	var m struct{ Docs []found }
	if err := d.c.get(ctx, http.MethodPost, base+"/_mget", mustJSON(object{"ids": there}), &m); err != nil {
		return nil, fmt.Errorf("cannot read of %q: %w", d.index, err)
	}
	if len(m.Docs) != len(there) {
		return nil, fmt.Errorf("answers for %d of %d documents came from Elasticsearch", len(m.Docs), len(there))
	}
	for i, n := 0, 0; i < len(all); i++ {
		if all[i] == nil {
			if all[i] = m.Docs[n].Source; all[i] == nil {
				return nil, fmt.Errorf("document %q of %q was deleted meanwhile", ids[i], d.index)
			}
			n++
		}
	}
	return all, nil
}

// Prune deletes the documents whose field at, milliseconds since 1970, is before a time.
func (d *Documents) Prune(ctx context.Context, before int64) error {
	if err := d.make(ctx); err != nil {
		return err
	}
	base := "/" + url.PathEscape(d.index)
	body := mustJSON(object{"size": changesAtOnce, "_source": false, "seq_no_primary_term": true, "query": object{"range": object{"at": object{"lt": before}}}})
	for {
		if _, err := d.c.do(ctx, http.MethodPost, base+"/_refresh", nil); err != nil {
			return fmt.Errorf("cannot refresh %q: %w", d.index, err)
		}
		var a struct {
			Hits struct{ Hits []found }
		}
		if err := d.c.get(ctx, http.MethodPost, base+"/_search", body, &a); err != nil {
			return fmt.Errorf("cannot search %q: %w", d.index, err)
		}
		if len(a.Hits.Hits) == 0 {
			return nil
		}
		var b strings.Builder
		for _, h := range a.Hits.Hits { // in no other version: it may have been written again
			fmt.Fprintf(&b, `{"delete":{"_id":%s,"if_seq_no":%d,"if_primary_term":%d}}`+"\n", mustJSON(h.ID), h.Seq, h.Term)
		}
		if _, err := d.c.do(ctx, http.MethodPost, base+"/_bulk?filter_path=errors", []byte(b.String())); err != nil {
			return fmt.Errorf("cannot delete what is old in %q: %w", d.index, err)
		}
	}
}
