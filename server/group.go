package server

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tallylog/tally/internal/durable"
	"github.com/tallylog/tally/server/auth"
	"github.com/tallylog/tally/server/siblings"
	"github.com/tallylog/tally/server/storage/elasticsearch"
)

// idFile, in the data directory, names the server for ever.
const idFile = "server-id"

// serverID reads the id of the server, or makes one.
func serverID(dir string) (string, error) {
	file := filepath.Join(dir, idFile)
	b, err := os.ReadFile(file)
	if err == nil {
		id := strings.TrimSpace(string(b))
		if raw, err := hex.DecodeString(id); err != nil || len(raw) != 8 {
			return "", fmt.Errorf("cannot use the id of this server: %q does not hold 16 hex digits", file)
		}
		return id, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("cannot read the id of this server: %w", err)
	}
	raw := make([]byte, 8)
	_, _ = rand.Read(raw) // never fails
	id := hex.EncodeToString(raw)
	// It must not be there empty after a loss of power, since the server would then not start.
	if err := durable.Replace(file, []byte(id+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("cannot keep the id of this server: %w", err)
	}
	return id, nil
}

var _ auth.Documents = (*elasticsearch.Documents)(nil)

// shareAccess makes sure that there is an admin, among those of all servers where there are several.
func (s *Server) shareAccess(ctx context.Context) (password string, err error) {
	if s.o.Config.Storage.Cluster.Address != "" {
		es, err := s.elasticsearch()
		if err != nil {
			return "", err
		}
		docs, err := elasticsearch.OpenDocuments(es, "access")
		if err != nil {
			return "", err
		}
		if err := s.auth.Share(ctx, docs); err != nil {
			return "", err
		}
	}
	if _, password, err = s.auth.EnsureAdmin(ctx, s.o.Dir, s.o.AdminPassword); err == nil || s.o.Config.Storage.Cluster.Address == "" {
		return password, err
	}
	// Another server may have made the first user at this moment: then there is nothing left to do.
	if perr := s.auth.Pull(ctx); perr != nil {
		return "", errors.Join(err, perr)
	}
	_, password, err = s.auth.EnsureAdmin(ctx, s.o.Dir, s.o.AdminPassword)
	return password, err
}

// joinTime bounds the wait for Elasticsearch of a server that starts: without it nothing is stored anyway.
const joinTime = 3 * time.Second

// joinGroup begins to share the work with other servers, where the configuration says so.
func (s *Server) joinGroup() error {
	c := s.o.Config.Storage.Cluster
	if s.accounts = s.admit; c.Address == "" {
		return nil
	}
	es, err := s.elasticsearch()
	if err != nil {
		return err
	}
	docs, err := elasticsearch.OpenDocuments(es, "servers")
	if err != nil {
		return err
	}
	o := siblings.Options{
		Documents: docs, ID: es.Server, Lease: time.Duration(c.Lease), Admission: s.admit, Memory: int64(s.o.Config.Buffer.Memory), Log: s.o.Log,
		Self:   siblings.Member{Name: s.name(), URL: strings.TrimRight(c.Address, "/"), Version: s.o.Version, Started: s.started.UTC().Format(time.RFC3339)},
		Agreed: s.agree, Config: s.sums,
	}
	if o.Self.Retention, err = retentionText(&s.o.Config.Retention); err != nil {
		return err
	}
	if s.removed.docs, err = elasticsearch.OpenDocuments(es, "retention"); err != nil {
		return err
	}
	if c.Authorities != "" {
		pem, err := os.ReadFile(c.Authorities)
		if err != nil {
			return fmt.Errorf("cannot read storage.cluster.authorities: %w", err)
		}
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
		if !o.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("cannot use storage.cluster.authorities: %q holds no certificate", c.Authorities)
		}
	}
	accounts, err := elasticsearch.OpenDocuments(es, "accounts")
	if err != nil {
		return err
	}
	s.group = siblings.New(o)
	s.group.Handle(callNode, func(ctx context.Context, _ []byte) ([]byte, error) {
		if !s.ready.Load() {
			return nil, errors.New("the server is starting or stopping")
		}
		return json.Marshal(s.node(ctx))
	})
	s.group.Handle(callLook, func(ctx context.Context, _ []byte) ([]byte, error) { return nil, s.auth.Pull(ctx) })
	s.group.Handle(callUsed, func(_ context.Context, body []byte) ([]byte, error) { return nil, s.auth.Used(body) })
	s.group.Handle(callRequest, s.answerOthers)
	s.group.Handle(callTail, (&distant{s: s, open: map[string]*distantTail{}}).answer)
	s.auth.Tell((*others)(s))
	ledger := siblings.NewLedger(s.group, s.admit, accounts, s.o.Config.Retention.LedgerAge(), s.o.Log)
	s.accounts = ledger.Union()
	ctx, cancel := context.WithCancel(context.Background())
	s.leaving = cancel
	s.grouped.Go(func() { s.group.Run(ctx) })
	s.grouped.Go(func() { ledger.Run(ctx, time.Duration(s.o.Config.Buffer.Checkpoint)) })
	select { // what is in the buffer is to be stored under the retention in force
	case <-s.group.Joined():
	case <-time.After(joinTime):
	}
	return nil
}

// What servers tell each other of access data.
const (
	callLook = "access/look"
	callUsed = "access/used"
)

// others is how access data reach the other servers.
type others Server

// Look is auth.Others's. A server that does not answer looks by itself, soon.
func (o *others) Look(ctx context.Context) { o.tell(ctx, callLook, nil) }

// Used is auth.Others's. What a server was not told costs a session its length at most.
func (o *others) Used(ctx context.Context, uses []byte) { o.tell(ctx, callUsed, uses) }

func (o *others) tell(ctx context.Context, name string, body []byte) {
	_, failed := o.group.All(ctx, name, body)
	for id, err := range failed {
		o.o.Log.Debug("a server could not be told of a change", "server", id, "what", name, "error", err)
	}
}

// abandonGroup ends what joinGroup began, for a server that does not start.
func (s *Server) abandonGroup() error {
	if s.group == nil {
		return nil
	}
	s.leaving()
	s.grouped.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return s.group.Leave(ctx, false)
}

// leaveGroup lets the other servers take over at once. All that this server has admitted goes to the store before, if it can within the
// time of ctx: nobody else could take it there.
func (s *Server) leaveGroup(ctx context.Context) {
	if s.group == nil {
		return
	}
	rest := s.admit.Fed(ctx)
	if rest != nil {
		s.o.Log.Warn("not all that was acknowledged is in Elasticsearch; the rest follows when this server is started again with its data directory", "error", rest)
	}
	s.leaving() // what is fed is published
	s.grouped.Wait()
	if err := s.group.Leave(ctx, rest != nil); err != nil {
		s.o.Log.Warn("the other servers take over when the lease ends", "error", err)
	}
}
