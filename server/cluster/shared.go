package cluster

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/tallylog/tally/server/answer"
	"github.com/tallylog/tally/server/documents"
)

// Several servers share one register: it is one document, of which the file of each server is a copy. A change is made in the newest copy and
// written as the next version of the document before the file is; where another server was faster it is made again. Before the register is
// read the copy is brought up to date, so a code that was made at one server is good at the others at once.

// Documents is where the register is shared; *elasticsearch.Documents is one.
type Documents interface {
	Get(ctx context.Context, id string) (documents.Document, error)
	Put(ctx context.Context, id string, body []byte, v documents.Version) (documents.Version, error)
}

const (
	// registerID is the name of the document.
	registerID = "register"
	// sharedMark is the application_id of a file that is a copy of the document. What a file without it holds is added to the document.
	sharedMark = 1
	// lookTime bounds the wait for the document where the copy would do.
	lookTime = 3 * time.Second
)

// shared is what a store knows of the document.
type shared struct {
	docs Documents
	log  *slog.Logger

	mu      sync.Mutex // held while the document is compared with the file
	version documents.Version
	failing bool
}

// content is the document: all rows of the file.
type content struct {
	Clusters []clusterRow `json:"clusters"`
	Codes    []codeRow    `json:"codes"`
}

type clusterRow struct {
	ID        string `json:"id"`
	Tenant    uint32 `json:"tenant"`
	Name      string `json:"name"`
	Token     string `json:"token"`
	Created   int64  `json:"created"`
	CreatedBy string `json:"created_by"`
}

type codeRow struct {
	ID      string `json:"id"`
	Cluster string `json:"cluster"`
	Hash    []byte `json:"hash"`
	Sealed  []byte `json:"sealed"`
	Server  string `json:"server"`
	Created int64  `json:"created"`
	Expires int64  `json:"expires"`
	Used    int64  `json:"used"`
}

// look brings the copy up to date. Where the document cannot be read, the copy is what there is.
func (s *store) look(ctx context.Context) {
	h := s.shared
	if h == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	h.mu.Lock()
	defer h.mu.Unlock()
	err := s.retry(ctx, s.pull)
	if err != nil && !h.failing {
		h.log.Warn("cannot read the register of clusters that servers share; what is known of it holds", "error", err)
	}
	h.failing = err != nil
}

// retry calls f again while other servers change the document under it.
func (s *store) retry(ctx context.Context, f func(context.Context) error) (err error) {
	for range 20 {
		if err = f(ctx); !errors.Is(err, documents.ErrChanged) {
			return err
		}
	}
	return err
}

// pull makes the file a copy of the document. The lock of shared must be held.
func (s *store) pull(ctx context.Context) error {
	h := s.shared
	doc, err := h.docs.Get(ctx, registerID)
	if err != nil {
		return err
	}
	if doc.Version == h.version && h.version.Primary > 0 {
		return nil
	}
	var now content
	if doc.Body != nil {
		if err := json.Unmarshal(doc.Body, &now); err != nil {
			return fmt.Errorf("cannot understand the shared register of clusters: %w", err)
		}
	}
	version := doc.Version
	err = s.write(ctx, func(tx *sql.Tx) error {
		var mark int
		if err := tx.QueryRowContext(ctx, "PRAGMA application_id").Scan(&mark); err != nil {
			return err
		}
		if mark != sharedMark || version.Primary == 0 {
			own, err := export(ctx, tx)
			if err != nil {
				return err
			}
			all := now.with(own)
			if version.Primary == 0 || !reflect.DeepEqual(all, now) {
				if version, err = h.put(ctx, all, version); err != nil {
					return err
				}
			}
			now = all
		}
		if err := now.enter(ctx, tx); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d", sharedMark))
		return err
	})
	if err == nil {
		h.version = version
	}
	return err
}

func (h *shared) put(ctx context.Context, c content, v documents.Version) (documents.Version, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return v, err
	}
	return h.docs.Put(ctx, registerID, body, v)
}

// change runs f in one transaction on the newest register, at all servers or at none.
func (s *store) change(ctx context.Context, f func(tx *sql.Tx) error) error {
	h := s.shared
	if h == nil {
		return s.write(ctx, f)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var own error // of f
	err := s.retry(ctx, func(ctx context.Context) error {
		if err := s.pull(ctx); err != nil {
			return err
		}
		version := h.version
		err := s.write(ctx, func(tx *sql.Tx) error {
			was, err := export(ctx, tx)
			if err != nil {
				return err
			}
			if own = f(tx); own != nil {
				return own
			}
			now, err := export(ctx, tx)
			if err != nil || reflect.DeepEqual(was, now) {
				return err
			}
			version, err = h.put(ctx, now, version)
			return err
		})
		if err == nil {
			h.version = version
		}
		return err
	})
	if err != nil && own == nil {
		h.log.Warn("cannot change the register of clusters that servers share", "error", err)
		return &answer.Error{Status: http.StatusServiceUnavailable, Code: "unavailable", RetryAfter: 1, Message: "the register of clusters cannot be changed at present: Elasticsearch does not take it"}
	}
	return err
}

// with is c and what of own does not contradict it.
func (c content) with(own content) content {
	c.Clusters, c.Codes = slices.Clone(c.Clusters), slices.Clone(c.Codes)
	added := map[string]bool{}
	for _, x := range own.Clusters {
		if !slices.ContainsFunc(c.Clusters, func(y clusterRow) bool { return x.ID == y.ID || x.Tenant == y.Tenant && x.Name == y.Name }) {
			c.Clusters, added[x.ID] = append(c.Clusters, x), true
		}
	}
	for _, x := range own.Codes {
		if added[x.Cluster] {
			c.Codes = append(c.Codes, x)
		}
	}
	return c
}

func export(ctx context.Context, tx *sql.Tx) (c content, err error) {
	rows, err := tx.QueryContext(ctx, "SELECT "+columns+" FROM clusters ORDER BY id")
	if err != nil {
		return c, err
	}
	defer rows.Close()
	for rows.Next() {
		var x clusterRow
		if err := rows.Scan(&x.ID, &x.Tenant, &x.Name, &x.Token, &x.Created, &x.CreatedBy); err != nil {
			return c, err
		}
		c.Clusters = append(c.Clusters, x)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return c, err
	}
	if rows, err = tx.QueryContext(ctx, "SELECT "+codeColumns+" FROM codes ORDER BY id"); err != nil {
		return c, err
	}
	defer rows.Close()
	for rows.Next() {
		var x codeRow
		if err := rows.Scan(&x.ID, &x.Cluster, &x.Hash, &x.Sealed, &x.Server, &x.Created, &x.Expires, &x.Used); err != nil {
			return c, err
		}
		c.Codes = append(c.Codes, x)
	}
	return c, rows.Err()
}

// enter makes the file hold c and nothing else.
func (c content) enter(ctx context.Context, tx *sql.Tx) error {
	if _, err := tx.ExecContext(ctx, "DELETE FROM clusters"); err != nil { // their codes go with them
		return err
	}
	for _, x := range c.Clusters {
		if _, err := tx.ExecContext(ctx, "INSERT INTO clusters ("+columns+") VALUES (?, ?, ?, ?, ?, ?)", x.ID, x.Tenant, x.Name, x.Token, x.Created, x.CreatedBy); err != nil {
			return err
		}
	}
	for _, x := range c.Codes {
		if _, err := tx.ExecContext(ctx, "INSERT INTO codes ("+codeColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			x.ID, x.Cluster, x.Hash, x.Sealed, x.Server, x.Created, x.Expires, x.Used); err != nil {
			return err
		}
	}
	return nil
}
