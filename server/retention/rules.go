package retention

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/auth"
)

// Default is the class of the events that no rule chooses.
const Default = "default"

// IndexField holds the name of the index that a client of the bulk API sent an event to.
const IndexField = "tally.index"

// Rule chooses events and says how long they are kept. Its name is the name of its class. The conditions are patterns in which "*" stands
// for any run of characters; an empty one chooses all.
type Rule struct {
	Name      string `json:"name"`
	Tenant    string `json:"tenant,omitempty"`
	Namespace string `json:"namespace,omitempty"` // kubernetes.namespace
	Stream    string `json:"stream,omitempty"`    // see Stream
	Limit
}

// Limit is how long, and how much, is kept of a class; 0 means without end.
type Limit struct {
	Age  time.Duration `json:"age,omitempty"`
	Size int64         `json:"size,omitempty"` // bytes on disk
}

// Rules are tried in their order; the first that chooses an event counts.
type Rules []Rule

// MaxRules bounds the rules: every class costs the store memory and files of its own.
const MaxRules = 32

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// Check returns the index of the first rule that is wrong, and why.
func (r Rules) Check() (int, error) {
	seen := map[string]bool{Default: true}
	for i, x := range r {
		switch {
		case i >= MaxRules:
			return i, fmt.Errorf("there are more than %d rules", MaxRules)
		case !nameForm.MatchString(x.Name):
			return i, fmt.Errorf("name: %q is not 1 to 40 of the characters a-z 0-9 -, the first a letter or digit", x.Name)
		case seen[x.Name]:
			return i, fmt.Errorf("name: there is a class %q already", x.Name)
		case x.Tenant == "" && x.Namespace == "" && x.Stream == "":
			return i, fmt.Errorf("tenant, namespace or stream is wanted; for everything there are retention.age and retention.size")
		case x.Age == 0 && x.Size == 0:
			return i, fmt.Errorf("age or size is wanted")
		case x.Age < 0 || x.Size < 0:
			return i, fmt.Errorf("the value is too small")
		}
		seen[x.Name] = true
	}
	return 0, nil
}

// Class returns the class of an event of the tenant.
func (r Rules) Class(tenant string, e *event.Event) string {
	if len(r) == 0 {
		return Default
	}
	namespace, stream, known := "", "", false
	for i := range r {
		x := &r[i]
		if x.Tenant != "" && !auth.Within([]string{x.Tenant}, tenant) {
			continue
		}
		if !known {
			namespace, _ = e.Get("kubernetes.namespace")
			stream, known = Stream(e), true
		}
		if x.Namespace != "" && !auth.Within([]string{x.Namespace}, namespace) || x.Stream != "" && !auth.Within([]string{x.Stream}, stream) {
			continue
		}
		return x.Name
	}
	return Default
}

// Stream is the data stream that an event belongs to: type-dataset-namespace of its fields data_stream.* (the processor route sets them),
// with ECS's defaults logs, generic and default; else the index that its client named; else nothing.
func Stream(e *event.Event) string {
	part := func(name, otherwise string) (string, bool) {
		if v, ok := e.Get("data_stream." + name); ok && v != "" {
			return v, true
		}
		return otherwise, false
	}
	kind, a := part("type", "logs")
	dataset, b := part("dataset", "generic")
	namespace, c := part("namespace", "default")
	if a || b || c {
		return strings.Join([]string{kind, dataset, namespace}, "-")
	}
	index, _ := e.Get(IndexField)
	return index
}
