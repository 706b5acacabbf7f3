// Package intake is the family of ways in: each folder below takes one protocol, bounds what a client may send, and hands
// batches to an Admitter. A client gets its acknowledgement only after that has returned without error.
//
// What the HTTP rooms (push, bulk, loki, otlp) share lives here: a Gate begins a Request for a principal; Request.Body takes
// the body in, bounded by Limits and the Budget, and proves it whole before anything of it is stored; a Batcher checks each
// event against the scope of the principal and admits them in batches.
package intake

import (
	"context"

	"github.com/tallylog/tally/server/admit"
	"github.com/tallylog/tally/server/record"
)

// Admitter makes a batch durable, or refuses what is already there; *admit.Admission is one. It takes the batch over. It
// waits while there is no space, until ctx is done.
type Admitter interface {
	Admit(ctx context.Context, b *record.Batch) (admit.Result, error)
}

var _ Admitter = (*admit.Admission)(nil)
