package auth

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tallylog/tally/server/documents"
)

// Several servers share tenants, users, tokens, sessions and searches: each row is a document, which is replaced only in the version that the
// writer knows, and written before the own file is. The file is what this server knows of them, brought up to date twice a second; with
// it requests are judged as ever, and the server starts when the documents cannot be read.

// Documents are where rows are shared; *elasticsearch.Documents is one.
type Documents interface {
	Put(ctx context.Context, id string, body []byte, v documents.Version) (documents.Version, error)
	Changes(ctx context.Context, after int64, f func(documents.Document) error) error
	// Prune deletes the documents whose field at, milliseconds since 1970, is before a time.
	Prune(ctx context.Context, before int64) error
}

const (
	// pullEvery is the time between two looks at what other servers have changed.
	pullEvery = 500 * time.Millisecond
	// pullOverlap is how far behind the newest change is looked for others, which become visible out of order.
	pullOverlap = 1000
)

// sharedTable is a table whose rows are documents. Times of last use are not shared.
type sharedTable struct {
	name, key string   // key is an expression that names a row
	primary   []string // columns
	columns   []string // all but blob
	blob      string   // a column of bytes, in hex in the document
}

// sessionsTable is the only one whose rows come and go all the time.
const sessionsTable = "sessions"

var sharedTables = []sharedTable{ // in an order in which rows can be made
	{"tenants", "number", []string{"number"}, []string{"number", "name", "created"}, ""},
	{"users", "name", []string{"name"}, []string{"name", "tenant", "role", "namespaces", "clusters", "password", "disabled", "created"}, ""},
	{"tokens", "id", []string{"id"}, []string{"id", "name", "tenant", "role", "namespaces", "clusters", "created", "created_by", "expires"}, "hash"},
	{sessionsTable, "lower(hex(hash))", []string{"hash"}, []string{"user", "created"}, "hash"},
	{"searches", "owner || '/' || name", []string{"owner", "name"}, []string{"owner", "name", "tenant", "shared", "body", "changed"}, ""},
}

// row is the document of a row.
type row struct {
	Table   string          `json:"table"`
	Key     string          `json:"key"`
	Row     json.RawMessage `json:"row,omitempty"`
	Deleted bool            `json:"deleted,omitempty"`
	// At is when a session ended, in milliseconds since 1970; what else was deleted is remembered for ever, by 0.
	At int64 `json:"at,omitempty"`
}

func (r *row) id() string { return r.Table + "/" + r.Key }

// known is a document as this server has it in its file.
type known struct {
	row     row
	version documents.Version
}

// shared is what a Store knows of the documents. mu is held while rows and documents are compared and written.
type shared struct {
	docs Documents
	mu   sync.Mutex
	rows map[string]known
	at   int64 // sequence number of the newest change read, -1 to read all

	forgot time.Time // when old deletions were forgotten last
	others Others    // nil while there are none
	news   bool      // something was written that the others were not told of
}

// ErrElsewhere is returned (wrapped in a 409) where another server changes the same at the same time.
var ErrElsewhere = conflict("another server changes the same at this moment; send the same request again")

// Share makes the documents the truth for this store, and begins to follow them. What the file has and they have not is added to them. Where the
// documents cannot be read it returns only if there is a user already, or with the error of ctx.
func (s *Store) Share(ctx context.Context, docs Documents) error {
	s.shared = &shared{docs: docs, rows: map[string]known{}, at: -1}
	for said := false; ; said = true {
		err := s.Pull(ctx)
		if err == nil {
			err = s.dropStrangers(ctx)
		}
		if err == nil {
			err = s.writeShared(ctx, func(context.Context, *sql.Tx) error { return nil }) // what only the file has
		}
		if err == nil {
			break
		}
		s.mu.RLock()
		users := len(s.users)
		s.mu.RUnlock()
		if users > 0 && !errors.Is(err, ErrElsewhere) {
			s.opt.Log.Warn("cannot read the access data that servers share; what was known at the last stop holds until it can be", "error", err)
			break
		}
		if !said {
			s.opt.Log.Warn("cannot read the access data that servers share; waiting for it", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pullEvery):
		}
	}
	s.done.Go(s.follow)
	return nil
}

// follow pulls until the store is closed.
func (s *Store) follow() {
	tick := time.NewTicker(pullEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		err := s.Pull(ctx)
		cancel()
		if err != nil && !failing {
			s.opt.Log.Warn("cannot read the access data that servers share; what is known holds", "error", err)
		}
		failing = err != nil
	}
}

// Pull enters what other servers have changed.
func (s *Store) Pull(ctx context.Context) error {
	h := s.shared
	h.mu.Lock()
	after := max(-1, h.at-pullOverlap)
	h.mu.Unlock()
	var news []known
	newest := int64(-1)
	err := h.docs.Changes(ctx, after, func(d documents.Document) error {
		k := known{version: d.Version}
		if err := json.Unmarshal(d.Body, &k.row); err != nil {
			return fmt.Errorf("cannot understand document %q: %w", d.ID, err)
		}
		news, newest = append(news, k), max(newest, d.Version.Seq)
		return nil
	})
	if err != nil {
		return err
	}
	s.change.Lock()
	defer s.change.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	news = slices.DeleteFunc(news, func(k known) bool {
		return h.rows[k.row.id()].version.Seq >= k.version.Seq && h.rows[k.row.id()].version.Primary > 0
	})
	if len(news) == 0 {
		h.at = max(h.at, newest)
		return nil
	}
	if err := s.write(ctx, func(ctx context.Context, tx *sql.Tx) error { return enter(ctx, tx, news) }); err != nil {
		return err
	}
	if err := s.reload(ctx); err != nil {
		return err
	}
	for _, k := range news {
		h.rows[k.row.id()] = k
	}
	h.at = max(h.at, newest)
	return nil
}

// enter writes rows of other servers into the file.
func enter(ctx context.Context, tx *sql.Tx, news []known) error {
	if _, err := tx.ExecContext(ctx, "PRAGMA defer_foreign_keys = ON"); err != nil {
		return err
	}
	for _, t := range sharedTables {
		for _, k := range news {
			if k.row.Table != t.name {
				continue
			}
			if err := t.enter(ctx, tx, &k.row); err != nil {
				return fmt.Errorf("%s %q: %w", t.name, k.row.Key, err)
			}
		}
	}
	// The users of these were deleted.
	for _, q := range []string{"DELETE FROM sessions WHERE user NOT IN (SELECT name FROM users)", "DELETE FROM searches WHERE owner NOT IN (SELECT name FROM users)"} {
		if _, err := tx.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

func (t *sharedTable) enter(ctx context.Context, tx *sql.Tx, r *row) error {
	if r.Deleted {
		_, err := tx.ExecContext(ctx, "DELETE FROM "+t.name+" WHERE "+t.key+" = ?", r.Key)
		return err
	}
	d := json.NewDecoder(bytes.NewReader(r.Row))
	d.UseNumber()
	var values map[string]any
	if err := d.Decode(&values); err != nil {
		return err
	}
	columns := slices.Clone(t.columns)
	var args []any
	for _, c := range t.columns {
		v := values[c]
		if n, ok := v.(json.Number); ok {
			i, err := n.Int64()
			if err != nil {
				return err
			}
			v = i
		}
		args = append(args, v)
	}
	if t.blob != "" {
		text, _ := values[t.blob].(string)
		raw, err := hex.DecodeString(text)
		if err != nil {
			return err
		}
		columns, args = append(columns, t.blob), append(args, raw)
	}
	var set []string
	for _, c := range columns {
		set = append(set, c+" = excluded."+c)
	}
	if t.name == "tokens" || t.name == sessionsTable {
		columns, args = append(columns, "last_used"), append(args, values["created"].(json.Number).String())
	}
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(columns)), ", ")
	_, err := tx.ExecContext(ctx, "INSERT INTO "+t.name+" ("+strings.Join(columns, ", ")+") VALUES ("+marks+") ON CONFLICT ("+strings.Join(t.primary, ", ")+
		") DO UPDATE SET "+strings.Join(set, ", "), args...)
	return err
}

// rowsOf reads all shared rows of the file.
func rowsOf(ctx context.Context, tx *sql.Tx) (map[string]row, error) {
	all := map[string]row{}
	for _, t := range sharedTables {
		var parts []string
		for _, c := range t.columns {
			parts = append(parts, "'"+c+"', "+c)
		}
		if t.blob != "" {
			parts = append(parts, "'"+t.blob+"', lower(hex("+t.blob+"))")
		}
		rows, err := tx.QueryContext(ctx, "SELECT "+t.key+", json_object("+strings.Join(parts, ", ")+") FROM "+t.name)
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			var key, text string
			if err := rows.Scan(&key, &text); err != nil {
				return nil, errors.Join(err, rows.Close())
			}
			r := row{Table: t.name, Key: key, Row: json.RawMessage(text)}
			all[r.id()] = r
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// writeShared is write of rows that servers share: the documents first, then the file. Where another server was faster nothing is changed in the
// file, and what that one wrote is pulled soon.
func (s *Store) writeShared(ctx context.Context, f func(ctx context.Context, tx *sql.Tx) error) error {
	h := s.shared
	if h == nil {
		return s.write(ctx, f)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var put []known
	err := s.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if err := f(ctx, tx); err != nil {
			return err
		}
		now, err := rowsOf(ctx, tx)
		if err != nil {
			return err
		}
		var changed []row
		for _, id := range slices.Sorted(maps.Keys(now)) {
			if k := h.rows[id]; k.row.Deleted || !sameJSON(k.row.Row, now[id].Row) {
				changed = append(changed, now[id])
			}
		}
		for id, k := range h.rows {
			if _, there := now[id]; !there && !k.row.Deleted {
				gone := row{Table: k.row.Table, Key: k.row.Key, Deleted: true}
				if gone.Table == sessionsTable {
					gone.At = s.opt.Now().UnixMilli()
				}
				changed = append(changed, gone)
			}
		}
		for _, r := range changed {
			body, err := json.Marshal(r)
			if err != nil {
				return err
			}
			v, err := h.docs.Put(ctx, r.id(), body, h.rows[r.id()].version)
			if errors.Is(err, documents.ErrChanged) {
				return ErrElsewhere
			}
			if err != nil {
				return err
			}
			put = append(put, known{r, v})
		}
		return nil
	})
	if err != nil {
		h.at = -1 // some may be written: all is read again, and entered
		return err
	}
	for _, k := range put {
		h.rows[k.row.id()] = k
		h.news = true
	}
	return nil
}

// sameJSON tells whether two rows are equal; Elasticsearch may have another order of names or other white space.
func sameJSON(a, b json.RawMessage) bool {
	if bytes.Equal(a, b) {
		return true
	}
	var x, y map[string]any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	return maps.Equal(x, y) // texts and numbers
}

// reload reads the file into memory again, but for the times of last use. What has not changed stays the same entry: a login that is under way
// looks whether its user has changed. The lock change must be held.
func (s *Store) reload(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	tokens, sessions := s.tokenIDs, s.sessions
	old := []any{s.tenants, s.numbers, s.users, s.tokens}
	users := s.users
	s.tenants, s.numbers, s.users = map[string]Tenant{}, map[uint32]Tenant{}, map[string]*user{}
	s.tokens, s.tokenIDs, s.sessions = map[hash]*token{}, map[string]*token{}, map[hash]*session{}
	if err := s.load(ctx); err != nil {
		s.tenants, s.numbers, s.users, s.tokens = old[0].(map[string]Tenant), old[1].(map[uint32]Tenant), old[2].(map[string]*user), old[3].(map[hash]*token)
		s.tokenIDs, s.sessions = tokens, sessions
		return err
	}
	for name, u := range s.users {
		if o := users[name]; o != nil && u.same(o) {
			s.users[name] = o
		}
	}
	for id, t := range s.tokenIDs {
		if o := tokens[id]; o != nil {
			t.used = o.used
		}
	}
	for h, e := range s.sessions {
		if o := sessions[h]; o != nil {
			e.used = o.used
		}
	}
	return nil
}
