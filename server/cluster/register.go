package cluster

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"time"

	"github.com/tallylog/tally/server/admit"
	"github.com/tallylog/tally/server/answer"
	"github.com/tallylog/tally/server/auth"
	"github.com/tallylog/tally/server/database"
)

// codeAge is how long an install code is good.
const codeAge = time.Hour

// clusterName is what a cluster may be called: what a token's scope takes, without the star of a pattern.
var clusterName = regexp.MustCompile(`^[A-Za-z0-9_.:/@-]{1,253}$`)

// Tokens makes and ends the tokens of clusters; *auth.Store does.
type Tokens interface {
	CreateToken(ctx context.Context, by auth.Principal, req auth.TokenRequest) (id, secret string, err error)
	RotateToken(ctx context.Context, by auth.Principal, id string) (secret string, err error)
	RevokeToken(ctx context.Context, by auth.Principal, id string) error
	Audit(p auth.Principal, remote, action, detail string)
	Require(a auth.Action, h http.Handler) http.Handler
}

// Accounts tells what is known of agents and sources; *admit.Admission does.
type Accounts interface {
	Sources(at time.Time, f admit.Filter) []admit.Source
	Agents(tenant uint32) []admit.Agent
}

// Options of a Register.
type Options struct {
	Tokens   Tokens
	Accounts Accounts
	// PublicURL is where agents and kubectl reach the server; empty for the address that a request came to.
	PublicURL string
	// CA returns the PEM certificates that agents must trust to reach the server, or "".
	CA func() string
	// Image is the container image of the agent.
	Image string
	// Documents is where several servers share the register; nil where this one is the only one.
	Documents Documents
	// Now is the clock. Default: time.Now.
	Now func() time.Time
	Log *slog.Logger
}

// Register keeps the clusters in DIR/clusters.db, which with several servers is a copy of what they share. Its methods may be called from many goroutines at once.
type Register struct {
	o  Options
	db *store
}

// Open opens the register in dir, or makes it.
func Open(ctx context.Context, dir string, o Options) (*Register, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	db, err := openStore(ctx, dir)
	if err != nil {
		return nil, err
	}
	if o.Documents != nil {
		db.shared = &shared{docs: o.Documents, log: o.Log}
		db.look(ctx)
	}
	return &Register{o: o, db: db}, nil
}

// Close closes the database.
func (r *Register) Close() error { return r.db.db.Close() }

// SaveTo writes a copy of the register, as of one moment, to a file that must not exist.
func (r *Register) SaveTo(ctx context.Context, file string) error {
	return database.SaveTo(ctx, r.db.db, file)
}

// Invitation is the answer to a registration: how to install the agents. Code is told only here.
type Invitation struct {
	ID      string    `json:"id"` // of the cluster
	Name    string    `json:"name"`
	Code    string    `json:"code"`
	URL     string    `json:"url"`     // of the manifest
	Command string    `json:"command"` // for a shell that reaches the cluster
	Expires time.Time `json:"expires"`
}

// register makes a cluster with its token and a first code.
func (r *Register) register(ctx context.Context, by auth.Principal, name, server string) (Invitation, error) {
	if !clusterName.MatchString(name) {
		return Invitation{}, answer.Errorf(http.StatusBadRequest, "invalid", "name: want 1 to 253 of the characters A-Z a-z 0-9 _ . : / @ -")
	}
	if there, err := r.db.named(ctx, by.TenantID, name); err != nil || there {
		return Invitation{}, errors.Join(err, taken(name))
	}
	token, secret, err := r.o.Tokens.CreateToken(ctx, by, auth.TokenRequest{Name: "agents of " + name[:min(len(name), 100)], Role: auth.RolePush, Clusters: []string{name}, Namespaces: by.Namespaces})
	if err != nil {
		return Invitation{}, err
	}
	id := make([]byte, 8)
	rand.Read(id) // it never fails
	c := Registered{ID: hex.EncodeToString(id), Tenant: by.TenantID, Name: name, Token: token, Created: r.o.Now().UTC(), CreatedBy: by.Name}
	var inv Invitation
	if err = r.db.add(ctx, c); err == nil {
		inv, err = r.invite(ctx, c, secret, server)
	}
	if err != nil {
		// Nothing must be left that could push.
		return Invitation{}, errors.Join(fmt.Errorf("cannot register cluster %q: %w", name, err), r.o.Tokens.RevokeToken(ctx, by, token), r.db.remove(ctx, c.ID))
	}
	return inv, nil
}

// renew gives the token of a cluster a new secret, and makes a code for it. Codes and secret from before are good no longer.
func (r *Register) renew(ctx context.Context, by auth.Principal, c Registered, server string) (Invitation, error) {
	secret, err := r.o.Tokens.RotateToken(ctx, by, c.Token)
	if err != nil {
		return Invitation{}, err
	}
	return r.invite(ctx, c, secret, server)
}

func (r *Register) invite(ctx context.Context, c Registered, secret, server string) (Invitation, error) {
	k := newKey()
	sealed, err := k.seal(secret)
	if err != nil {
		return Invitation{}, err
	}
	id := make([]byte, 4)
	rand.Read(id) // it never fails
	now := r.o.Now().UTC().Truncate(time.Millisecond)
	code := Code{ID: hex.EncodeToString(id), Created: now, Expires: now.Add(codeAge)}
	if err := r.db.addCode(ctx, c.ID, code, k, sealed, server); err != nil {
		return Invitation{}, fmt.Errorf("cannot keep an install code: %w", err)
	}
	url := server + "/install/" + string(k)
	return Invitation{ID: c.ID, Name: c.Name, Code: string(k), URL: url, Command: "kubectl apply -f " + url, Expires: code.Expires}, nil
}

// install is the manifest of a code; ok is false where the code is not good.
func (r *Register) install(ctx context.Context, code string) (text []byte, c Registered, ok bool, err error) {
	k := key(code)
	c, sealed, server, ok, err := r.db.open(ctx, k, r.o.Now())
	if err != nil || !ok {
		return nil, c, false, err
	}
	secret, err := k.unseal(sealed)
	if err != nil {
		return nil, c, false, err
	}
	text, err = manifest(values{Cluster: c.Name, Server: server, Token: secret, CA: r.o.CA(), Image: r.o.Image})
	return text, c, err == nil, err
}
