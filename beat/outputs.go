package beat

import (
	"flag"
	"fmt"
	"strings"

	"github.com/elastic/beats/v7/libbeat/cfgfile"
	"github.com/elastic/beats/v7/libbeat/common"

	"github.com/tallylog/tally/outputs/fanout"
)

// severalOutputs lets a configuration have several outputs, which libbeat refuses ("more than one namespace"): they become
// children of output.fanout, each under the name that it had. libbeat calls the check with the files' configuration before it
// merges what the command line sets (-E), for every command alike. fail is called with why the configuration cannot work.
func severalOutputs(beat string, fail func(error)) cfgfile.ConditionalOverride {
	// The outputs of the command line are taken out of its settings, as merged later they would stand beside the fan-out. Who
	// reads the configuration again shall find them again.
	var flags *common.Config
	return cfgfile.ConditionalOverride{
		Config: common.NewConfig(),
		Check: func(c *common.Config) bool {
			if flags == nil {
				var err error
				if flags, err = takeOutputs(flagSettings()); err != nil {
					fail(err)
					return false
				}
			}
			if err := c.Merge(flags); err != nil {
				fail(fmt.Errorf("cannot use the outputs of the command line: %w", err))
			} else if err := fanOut(c); err != nil {
				fail(err)
			} else if err := waitForAcks(c, beat); err != nil {
				fail(err)
			}
			return false
		},
	}
}

// waitForAcks gives what is under way time to be acknowledged, or spilled by the fan-out, when the beat stops. Without shutdown_timeout
// Filebeat does not wait, and what was delivered in the last moment is delivered again at the next start.
func waitForAcks(c *common.Config, beat string) error {
	key := beat + ".shutdown_timeout"
	if has, err := c.Has(key, -1); err != nil || has {
		return nil
	}
	if err := c.SetString(key, -1, "5s"); err != nil {
		return fmt.Errorf("cannot set %s: %w", key, err)
	}
	return nil
}

// flagSettings are what -E has set; nil before flags are there.
func flagSettings() *common.Config {
	if f := flag.CommandLine.Lookup("E"); f != nil {
		if s, ok := f.Value.(interface{ Config() *common.Config }); ok {
			return s.Config()
		}
	}
	return nil
}

// takeOutputs moves the outputs of a configuration into a new one.
func takeOutputs(c *common.Config) (*common.Config, error) {
	out := common.NewConfig()
	if c == nil || !c.HasField("output") {
		return out, nil
	}
	o, err := c.Child("output", -1)
	if err == nil {
		err = out.SetChild("output", -1, o)
	}
	if err == nil {
		_, err = c.Remove("output", -1)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot use the outputs of the command line: %w", err)
	}
	return out, nil
}

// fanOut makes the outputs of a configuration, where several are enabled, children of output.fanout.
func fanOut(c *common.Config) error {
	if !c.HasField("output") {
		return nil
	}
	all, err := c.Child("output", -1)
	if err != nil {
		return nil // output: null, or no mapping: libbeat's to refuse
	}
	children := map[string]*common.Config{}
	for _, kind := range all.GetFields() {
		o, err := all.Child(kind, -1)
		if err != nil {
			return nil
		}
		if o.Enabled() {
			children[kind] = o
		}
	}
	if len(children) < 2 {
		return nil
	}
	native := children[fanout.Name]
	if native == nil {
		native = common.NewConfig()
	}
	delete(children, fanout.Name)
	for kind, o := range children {
		if ok, err := native.Has("outputs."+kind, -1); err != nil || ok {
			return fmt.Errorf("two outputs have the name %q accessing 'output.%s'", kind, kind)
		}
		if err := native.SetChild("outputs."+kind, -1, o); err != nil {
			return fmt.Errorf("cannot use output %q beside others: %w", kind, err)
		}
	}
	for _, kind := range all.GetFields() {
		if _, err := all.Remove(kind, -1); err != nil {
			return fmt.Errorf("cannot use output %q beside others: %w", kind, err)
		}
	}
	if err := all.SetChild(fanout.Name, -1, native); err != nil {
		return fmt.Errorf("cannot use several outputs: %w", err)
	}
	return nil
}

// asWritten gives an error's keys the names that the files have for them: outputs that became children of the fan-out stand
// directly below output.
func asWritten(files []string, message string) string {
	for _, name := range files {
		if root, err := parse(name); err == nil {
			if _, depth := find(root, []string{"output", fanout.Name, "outputs"}); depth > 1 {
				return message
			}
		}
	}
	return strings.ReplaceAll(message, "'output."+fanout.Name+".outputs.", "'output.")
}
