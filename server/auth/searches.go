package auth

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"unicode/utf8"

	"github.com/tallylog/tally/server/answer"
)

const (
	maxSearches   = 500 // that one user keeps
	maxSearchName = 100 // characters
	maxColumns    = 50
)

// Search is a search that a user keeps: what the page needs to show it again.
type Search struct {
	Name    string   `json:"name"`
	Owner   string   `json:"owner"` // name of the user
	Query   string   `json:"query"`
	Start   string   `json:"start"` // as the API takes it, often relative
	End     string   `json:"end"`
	Columns []string `json:"columns"`
	By      string   `json:"by"` // the field by which counts are grouped, "" for the level
	// Shared lets the other users of the tenant see it; nobody but its owner changes it.
	Shared  bool   `json:"shared"`
	Changed Millis `json:"changed"`
}

// searchBody is what is kept as JSON: the part of a Search that nothing is looked up by.
type searchBody struct {
	Query   string   `json:"query"`
	Start   string   `json:"start"`
	End     string   `json:"end"`
	Columns []string `json:"columns"`
	By      string   `json:"by"`
}

// owner returns the caller, who must be a user: a token has nobody who would look at its searches.
func owner(r *http.Request) (Principal, error) {
	g := grantOf(r)
	if g.Kind != KindUser {
		return Principal{}, forbidden("only a user keeps searches")
	}
	return g.Principal, nil
}

// Searches returns those that by keeps and those that others of the tenant share, by name.
func (s *Store) Searches(ctx context.Context, by Principal) ([]Search, error) {
	all := []Search{}
	const query = "SELECT owner, name, shared, body, changed FROM searches WHERE owner = ? OR tenant = ? AND shared = 1 ORDER BY name, owner"
	err := s.each(ctx, query, func(scan scan) error {
		var e Search
		var text string
		if err := scan(&e.Owner, &e.Name, &e.Shared, &text, &e.Changed); err != nil {
			return err
		}
		var b searchBody
		if err := json.Unmarshal([]byte(text), &b); err != nil {
			return fmt.Errorf("cannot read the search %q of %q: %w", e.Name, e.Owner, err)
		}
		e.Query, e.Start, e.End, e.Columns, e.By = b.Query, b.Start, b.End, b.Columns, b.By
		all = append(all, e)
		return nil
	}, by.ID, by.TenantID)
	return all, err
}

func (s *Store) listSearches(w http.ResponseWriter, r *http.Request) error {
	by, err := owner(r)
	if err != nil {
		return err
	}
	all, err := s.Searches(r.Context(), by)
	if err != nil {
		return err
	}
	answer.JSON(w, http.StatusOK, map[string]any{"searches": all})
	return nil
}

func (s *Store) putSearch(w http.ResponseWriter, r *http.Request) error {
	by, err := owner(r)
	if err != nil {
		return err
	}
	name := r.PathValue("name")
	if n := utf8.RuneCountInString(name); n == 0 || n > maxSearchName || !utf8.ValidString(name) {
		return invalid("name", "want 1 to %d characters", maxSearchName)
	}
	var req struct {
		searchBody
		Shared bool `json:"shared"`
	}
	if err := decode(w, r, &req); err != nil {
		return err
	}
	if len(req.Columns) > maxColumns {
		return invalid("columns", "want at most %d", maxColumns)
	}
	if req.Columns == nil {
		req.Columns = []string{}
	}
	body, err := json.Marshal(req.searchBody)
	if err != nil {
		return fmt.Errorf("cannot write a search: %w", err)
	}
	var full bool
	defer s.changing(r.Context())()
	err = s.writeShared(r.Context(), func(ctx context.Context, tx *sql.Tx) error {
		var n int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM searches WHERE owner = ? AND name <> ?", by.ID, name).Scan(&n); err != nil {
			return err
		}
		if full = n >= maxSearches; full {
			return nil
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO searches (owner, name, tenant, shared, body, changed) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (owner, name) DO UPDATE SET tenant = excluded.tenant, shared = excluded.shared, body = excluded.body, changed = excluded.changed`,
			by.ID, name, by.TenantID, req.Shared, string(body), millis(s.opt.Now()))
		return err
	})
	if err != nil {
		return err
	}
	if full {
		return conflict("a user keeps at most %d searches", maxSearches)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Store) deleteSearch(w http.ResponseWriter, r *http.Request) error {
	by, err := owner(r)
	if err != nil {
		return err
	}
	name := r.PathValue("name")
	var n int64
	defer s.changing(r.Context())()
	err = s.writeShared(r.Context(), func(ctx context.Context, tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, "DELETE FROM searches WHERE owner = ? AND name = ?", by.ID, name)
		if err != nil {
			return err
		}
		n, err = done.RowsAffected()
		return err
	})
	if err != nil {
		return err
	}
	if n == 0 {
		return notFound("search", name)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
