package deadletter

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/internal/failpoint"
	"github.com/tallylog/tally/server/auth"
	"github.com/tallylog/tally/server/database"
	"github.com/tallylog/tally/server/record"
)

// Filter chooses letters of a tenant; an empty field chooses all.
type Filter struct {
	Tenant     uint32
	Namespaces []string // patterns, as in auth.Principal
	Clusters   []string
	ID         string
	Stage, By  string
	Client     string
	Source     string
	Namespace  string
	Reason     string // part of it, in any case of letters
	Unit       *int64 // of Source, which the letter's range holds
	Start, End int64  // when it was rejected, in nanoseconds, start inclusive
}

// Entry is a letter in a list, as the API shows it.
type Entry struct {
	ID        string `json:"id"`
	Time      string `json:"time"` // RFC 3339, when it was rejected last
	Stage     string `json:"stage"`
	By        string `json:"by"`
	Reason    string `json:"reason"`
	Client    string `json:"client"`
	Source    string `json:"source,omitempty"`
	From      *int64 `json:"from,omitempty"`
	To        *int64 `json:"to,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Cluster   string `json:"cluster,omitempty"`
	Message   string `json:"message"` // its beginning
	Times     int    `json:"times"`   // how often it was rejected
	Bytes     int64  `json:"bytes"`
	// Seq grows with the letters of a server; it is the cursor for the list behind this one.
	Seq    int64  `json:"seq"`
	Server string `json:"server,omitempty"` // that has it, where there are several
}

// Shown is a letter with its event.
type Shown struct {
	Entry
	Event json.RawMessage `json:"event"`
}

func (f *Filter) where() (string, []any) {
	cond, args := []string{"tenant = ?"}, []any{f.Tenant}
	for _, c := range []struct{ column, value string }{
		{"id", f.ID}, {"stage", f.Stage}, {"by", f.By}, {"client", f.Client}, {"source", f.Source}, {"namespace", f.Namespace},
	} {
		if c.value != "" {
			cond, args = append(cond, c.column+" = ?"), append(args, c.value)
		}
	}
	if f.Reason != "" {
		cond, args = append(cond, "instr(lower(reason), lower(?)) > 0"), append(args, f.Reason)
	}
	if f.Unit != nil {
		cond, args = append(cond, `"from" <= ? AND ? < "to"`), append(args, *f.Unit, *f.Unit)
	}
	if f.Start != 0 {
		cond, args = append(cond, "time >= ?"), append(args, f.Start)
	}
	if f.End != 0 {
		cond, args = append(cond, "time < ?"), append(args, f.End)
	}
	return strings.Join(cond, " AND "), args
}

// List returns up to limit letters that f chooses, newest first, behind the letter that the cursor names (0: from the newest on), and
// the cursor for the next page, 0 when there is none.
func (s *Store) List(ctx context.Context, f Filter, limit int, cursor int64) (list []Entry, next int64, err error) {
	where, args := f.where()
	if cursor > 0 {
		where, args = where+" AND seq < ?", append(args, cursor)
	}
	rows, err := s.db.QueryContext(ctx, `SELECT seq, id, time, stage, by, reason, client, source, "from", "to", namespace, cluster, message, times, size
		FROM letters WHERE `+where+" ORDER BY seq DESC", args...)
	if err != nil {
		return nil, 0, fmt.Errorf("cannot list dead letters: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var e Entry
		var at, from, to int64
		if err := rows.Scan(&e.Seq, &e.ID, &at, &e.Stage, &e.By, &e.Reason, &e.Client, &e.Source, &from, &to, &e.Namespace, &e.Cluster, &e.Message, &e.Times, &e.Bytes); err != nil {
			return nil, 0, fmt.Errorf("cannot list dead letters: %w", err)
		}
		if !auth.Within(f.Namespaces, e.Namespace) || !auth.Within(f.Clusters, e.Cluster) {
			continue
		}
		if len(list) == limit {
			return list, list[limit-1].Seq, nil
		}
		e.Time = event.FormatTime(at)
		if e.Source != "" {
			e.From, e.To = &from, &to
		}
		list = append(list, e)
	}
	if err := rows.Err(); err != nil {
		return nil, 0, fmt.Errorf("cannot list dead letters: %w", err)
	}
	return list, 0, nil
}

// Get returns a letter that f, with its ID set, chooses; ok is false where there is none.
func (s *Store) Get(ctx context.Context, f Filter) (l Letter, ok bool, err error) {
	if f.ID == "" {
		return l, false, nil
	}
	list, _, err := s.List(ctx, f, 1, 0)
	if err != nil || len(list) == 0 {
		return l, false, err
	}
	l, err = s.read(ctx, list[0].Seq)
	if errors.Is(err, sql.ErrNoRows) { // removed between the two
		return l, false, nil
	}
	return l, err == nil, err
}

func (s *Store) read(ctx context.Context, seq int64) (l Letter, err error) {
	var blob []byte
	err = s.db.QueryRowContext(ctx, "SELECT id, tenant, client, time, stage, by, reason, confined, times, event FROM letters WHERE seq = ?", seq).
		Scan(&l.ID, &l.Tenant, &l.Client, &l.Time, &l.Stage, &l.By, &l.Reason, &l.Confined, &l.Times, &blob)
	if err != nil {
		return l, fmt.Errorf("cannot read a dead letter: %w", err)
	}
	b, err := record.Decode(blob)
	if err != nil || len(b.Events) != 1 {
		return l, fmt.Errorf("cannot read the event of dead letter %s: %w", l.ID, errors.Join(err, database.ErrDamaged))
	}
	l.Event = b.Events[0]
	return l, nil
}

// Drop removes the letters that f chooses. The gaps that they are in the account stay.
func (s *Store) Drop(ctx context.Context, f Filter) (dropped int64, err error) {
	list, _, err := s.List(ctx, f, -1, 0)
	if err != nil || len(list) == 0 {
		return 0, err
	}
	failpoint.Here("letters.drop.before")
	defer failpoint.Here("letters.drop.after")
	err = s.write(ctx, func(tx *sql.Tx) error {
		c := &change{}
		for _, e := range list {
			if err := c.remove(ctx, tx, e.Seq, 0); err != nil {
				return err
			}
		}
		dropped, c.dropped = -c.letters, -c.letters
		return c.apply(ctx, tx, f.Tenant)
	})
	return dropped, err
}

// remove deletes a letter; one that was rejected again since, more than times times, stays. 0 for whatever times.
func (c *change) remove(ctx context.Context, tx *sql.Tx, seq int64, times int) error {
	var size int64
	err := tx.QueryRowContext(ctx, "DELETE FROM letters WHERE seq = ?1 AND (?2 = 0 OR times = ?2) RETURNING size", seq, times).Scan(&size)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	c.letters--
	c.bytes -= size
	return err
}

// Totals are those of a tenant. Rejected, Replayed, Dropped and Evicted count since the database was made.
type Totals struct {
	Letters  int64 `json:"letters"` // there now
	Bytes    int64 `json:"bytes"`
	MaxBytes int64 `json:"max_bytes"`
	Rejected int64 `json:"rejected"` // events, each time they were
	Replayed int64 `json:"replayed"`
	Dropped  int64 `json:"dropped"` // by people
	Evicted  int64 `json:"evicted"` // for want of room
}

// Add makes t the totals of two servers.
func (t *Totals) Add(o *Totals) {
	t.Letters += o.Letters
	t.Bytes += o.Bytes
	t.MaxBytes += o.MaxBytes
	t.Rejected += o.Rejected
	t.Replayed += o.Replayed
	t.Dropped += o.Dropped
	t.Evicted += o.Evicted
}

// Totals returns those of each tenant that ever had a letter.
func (s *Store) Totals(ctx context.Context) (map[uint32]Totals, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT tenant, letters, bytes, rejected, replayed, dropped, evicted FROM totals")
	if err != nil {
		return nil, fmt.Errorf("cannot read the totals of dead letters: %w", err)
	}
	defer rows.Close()
	all := map[uint32]Totals{}
	for rows.Next() {
		var tenant uint32
		t := Totals{MaxBytes: s.o.MaxBytes}
		if err := rows.Scan(&tenant, &t.Letters, &t.Bytes, &t.Rejected, &t.Replayed, &t.Dropped, &t.Evicted); err != nil {
			return nil, fmt.Errorf("cannot read the totals of dead letters: %w", err)
		}
		all[tenant] = t
	}
	return all, rows.Err()
}
