package intake

import (
	"net/http"
	"strings"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/answer"
	"github.com/tallylog/tally/server/auth"
)

// The fields that the scopes of credentials are patterns on.
const (
	NamespaceField = "kubernetes.namespace"
	ClusterField   = "orchestrator.cluster.name"
)

// OutOfScope is the reason why an event is rejected that the principal may not write.
const OutOfScope = "kubernetes.namespace or orchestrator.cluster.name is outside the scope of these credentials"

// ErrOutOfScope refuses a request that held nothing but such events.
var ErrOutOfScope error = answer.Errorf(http.StatusForbidden, "scope", "%s", OutOfScope)

// scopedField is a field that a scope is on: its patterns, and the tag of events from which confine has taken it.
type scopedField struct {
	name, tag string
	patterns  []string
}

func scopedFields(p auth.Principal) [2]scopedField {
	return [2]scopedField{
		{NamespaceField, "_namespace_out_of_scope", p.Namespaces},
		{ClusterField, "_cluster_out_of_scope", p.Clusters},
	}
}

// InScope tells whether p may write e: its namespace and its cluster both lie in their scopes. A principal of exactly one
// namespace, or one cluster, need not name it: it is put into the event.
func InScope(p auth.Principal, e *event.Event) bool {
	for _, f := range scopedFields(p) {
		if !f.holds(e) {
			return false
		}
	}
	return true
}

func (f scopedField) holds(e *event.Event) bool {
	value, ok := e.Get(f.name)
	if !ok && len(f.patterns) == 1 && !strings.Contains(f.patterns[0], "*") {
		value = f.patterns[0]
		e.Put(f.name, value)
	}
	return auth.Within(f.patterns, value)
}

// confine keeps an event within the scope of p that a pipeline has moved out of it, with what it read in the event's text: it
// loses the namespace, or cluster, that is not p's to name, or gets the only one that is.
func confine(p auth.Principal, e *event.Event) {
	for _, f := range scopedFields(p) {
		if f.holds(e) {
			continue
		}
		if value, ok := e.Get(f.name); ok {
			e.Put("original."+f.name, value)
			e.Delete(f.name)
			e.AddTag(f.tag)
			f.holds(e) // a principal of exactly one has it put in
		}
	}
}

// NameField puts into e, where it has no field, the first of the fields from that it has: the name that other agents give it.
func NameField(e *event.Event, field string, from ...string) {
	if _, ok := e.Get(field); ok {
		return
	}
	for _, name := range from {
		if value, ok := e.Get(name); ok {
			e.Put(field, value)
			return
		}
	}
}
