package server

import (
	"context"
	"net/http"
	"path/filepath"
	"time"

	"github.com/tallylog/tally/server/auth"
	"github.com/tallylog/tally/server/retention"
	"github.com/tallylog/tally/server/storage"
	"github.com/tallylog/tally/server/storageapi"
)

// keepStorage removes what is past its retention until ctx is done.
func (s *Server) keepStorage(ctx context.Context) {
	store, ok := s.admit.Store().(interface {
		storage.Partitioned
		Limits() map[string]retention.Limit
	})
	if !ok {
		return
	}
	s.keeper = &retention.Keeper{Store: store, Limits: store.Limits, File: filepath.Join(s.o.Dir, "removed.json"), Log: s.o.Log}
	if s.group != nil {
		s.keeper.Shared, s.keeper.May = s.removed, s.mayRemove
	}
	s.keeper.Load()
	s.keeping.Go(func() { s.keeper.Run(ctx) })
}

// storageRoutes makes known what tells of the store.
func (s *Server) storageRoutes(mux *http.ServeMux) {
	h := &storageapi.Handler{
		Type: s.o.Config.Storage.Type, Store: s.admit.Store(), Keeper: s.keeper, Auth: s.auth, TenantName: s.tenantName, Log: s.o.Log, Timeout: time.Minute,
	}
	h.Routes(mux)
	mux.Handle("POST /api/v1/storage/backup", s.auth.Require(auth.Manage, http.HandlerFunc(s.postBackup)))
}
