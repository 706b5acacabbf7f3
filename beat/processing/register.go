package processing

import (
	"unsafe"

	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/monitoring"
	"github.com/elastic/beats/v7/libbeat/processors"
	_ "github.com/elastic/beats/v7/libbeat/processors/actions" // so that libbeat's are there before ours
	"github.com/elastic/beats/v7/libbeat/processors/checks"

	ours "github.com/tallylog/tally/processors"
)

// registry is libbeat's register of processors. It refuses a name that is taken, and has no way to give one up; and it puts every
// processor behind a condition of its own. The version of libbeat is pinned; a test notices if the register is no longer this.
//
//go:linkname registry github.com/elastic/beats/v7/libbeat/processors.registry
var registry *processors.Namespace

// entry is what the register holds: libbeat's own type of it, which has this one method, is not exported.
type entry interface{ Plugin() processors.Constructor }

// direct is an entry whose constructor sees to its condition itself.
type direct processors.Constructor

func (d direct) Plugin() processors.Constructor { return processors.Constructor(d) }

// Check refuses processors of ours that cannot be made, in a list of processors, under if as well. libbeat makes those of an input when the
// input has begun to run: it would only log what is wrong, and read nothing. Others are left to libbeat, as some begin their work when they
// are made.
func Check(list []*common.Config) error {
	for _, c := range list {
		if c.HasField("if") {
			var branches struct {
				Then []*common.Config `config:"then"`
				Else []*common.Config `config:"else"`
			}
			if err := c.Unpack(&branches); err != nil {
				return err
			}
			if err := Check(append(branches.Then, branches.Else...)); err != nil {
				return err
			}
		}
		for _, name := range append(ours.Names(), joining) {
			if !c.HasField(name) {
				continue
			}
			if _, err := processors.New(processors.PluginConfig{c}); err != nil {
				return err
			}
		}
	}
	return nil
}

// Register makes our processors known to libbeat. It is called once, before a configuration is read. What they did is counted in
// metrics, by the name of the processor.
func Register(metrics *monitoring.Registry) {
	// A Namespace is a struct of one map. A value of it is an interface of one method, as entry is.
	names := *(*map[string]entry)(unsafe.Pointer(registry))
	for _, name := range ours.Names() {
		if names[name] == nil && name != includeEvent && name != joining {
			names[name] = direct(processors.NewConditional(adapted(name, newCounters(metrics, name))))
		}
	}
	names[joining] = direct(refuseJoining)
	names[includeEvent] = direct(newIncludeEvent)
	names["drop_event"] = direct(checks.ConfigChecked(newDropEvent, checks.AllowedFields("when")))
	names["include_fields"] = direct(conditional(includeFieldsConstructor))
}
