package server

import (
	"context"

	"github.com/tallylog/tally/server/admit"
	"github.com/tallylog/tally/server/deadletter"
)

// rejected finds the dead letter that has a unit of a source.
func (s *Server) rejected(ctx context.Context, src *admit.Source, tenant uint32, unit int64) (id, by, reason string, err error) {
	list, _, err := s.letters.List(ctx, deadletter.Filter{Tenant: tenant, Client: src.Client, Source: src.Source, Unit: &unit}, 1, 0)
	if err != nil || len(list) == 0 {
		return "", "", "", err
	}
	by = "the store"
	if list[0].Stage == deadletter.StagePipeline {
		by = "the pipeline " + list[0].By
	}
	return list[0].ID, by, list[0].Reason, nil
}
