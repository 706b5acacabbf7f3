package bundle

import (
	"slices"
	"strings"

	"github.com/elastic/beats/v7/libbeat/common"
)

// alike are processors that do the same to all lines of a file, and drop none: what they look at is where the lines come from.
var alike = []string{
	"add_cloud_metadata", "add_docker_metadata", "add_fields", "add_host_metadata", "add_kubernetes_metadata", "add_labels", "add_locale",
	"add_observer_metadata", "add_tags", "drop_fields", "k8smeta",
}

// Passes is Pass for the processors of a configuration, or of an input's.
func Passes(cfg *common.Config) bool {
	var of struct {
		Processors []*common.Config `config:"processors"`
	}
	return !cfg.HasField("processors") || cfg.Unpack(&of) == nil && Pass(of.Processors)
}

// Pass says whether a bundle may go through processors: whether they do to the fields that its lines share what they would do to each
// line by itself. They must be known to, and name no field that a line has for itself, in a condition either.
func Pass(list []*common.Config) bool {
	for _, c := range list {
		var settings map[string]interface{}
		if c == nil || c.Unpack(&settings) != nil || len(c.GetFields()) != 1 {
			return false
		}
		name := c.GetFields()[0] // of one without settings there is nothing to unpack
		if !slices.Contains(alike, name) || namesLine(settings[name], name == "drop_fields") {
			return false
		}
	}
	return true
}

// namesLine says whether a setting holds, as a key or a value, the name of a field that each line has for itself, or one above that. In
// patterns what begins with a slash is a regular expression of names.
func namesLine(setting interface{}, patterns bool) bool {
	switch v := setting.(type) {
	case string:
		first, _, _ := strings.Cut(v, ".")
		return first == "message" || first == "log" || strings.HasPrefix(first, "@") || patterns && strings.HasPrefix(v, "/")
	case []interface{}:
		return slices.ContainsFunc(v, func(e interface{}) bool { return namesLine(e, patterns) })
	case map[string]interface{}:
		for key, e := range v {
			if namesLine(key, patterns) || namesLine(e, patterns) {
				return true
			}
		}
	}
	return false
}
