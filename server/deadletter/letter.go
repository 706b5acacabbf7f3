package deadletter

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/tallylog/tally/event"
)

// The stages at which an event can be rejected.
const (
	StagePipeline = "pipeline"
	StageStore    = "store"
)

// Letter is a rejected event.
type Letter struct {
	// ID is the handle of the API. Put fills it in where it is empty.
	ID     string
	Tenant uint32
	Client string // client identity of the account
	// Time is when the event was rejected, in nanoseconds since 1970 UTC.
	Time  int64
	Stage string // one of the Stage constants
	By    string // name of the pipeline, or of the store
	// Reason is for people, and cut to 1,024 bytes.
	Reason string
	// Event is, of a pipeline, the event as it came, and of the store, the event as the store was given it. Its Time is not 0.
	Event event.Event
	// Confined says that a replay keeps the namespace and the cluster of Event, whatever the pipelines make of them: the credentials
	// that it came with were narrowed to a scope.
	Confined bool
	// Times is how often the event was rejected; Put counts it.
	Times int
}

// Sink takes letters.
type Sink interface {
	// Put returns without error only when all letters are durable. It may be called from many goroutines at once; the letters are
	// the sink's to read until it returns. One that is there already is not doubled.
	Put(ctx context.Context, letters []Letter) error
}

// replayed begins the identity under which an event without any is replayed, so that a replay that is repeated stores it once.
const replayed = "deadletter:"

// idLen is the length of an id: 96 bits in hex.
const idLen = 24

// identify returns the id of a letter: from the identity that a replay gave the event, else from its position or identity, else
// from its id. An event that has nothing of these gets a random one.
func identify(l *Letter) string {
	e := &l.Event
	if id, ok := strings.CutPrefix(e.Identity, replayed); ok && isID(id) {
		return id
	}
	key := e.ID
	switch {
	case e.HasPosition():
		key = e.Position.ID()
	case e.Identity != "":
		key = "identity " + e.Identity
	case key == "":
		key = rand.Text()
	}
	h := sha256.Sum256(fmt.Appendf(nil, "%d\x00%s\x00%s", l.Tenant, l.Client, key))
	return hex.EncodeToString(h[:idLen/2])
}

func isID(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == idLen
}
