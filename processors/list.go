package processors

import (
	"github.com/tallylog/tally/processors/addfields"
	"github.com/tallylog/tally/processors/addtags"
	"github.com/tallylog/tally/processors/changecase"
	"github.com/tallylog/tally/processors/convert"
	"github.com/tallylog/tally/processors/copyfields"
	"github.com/tallylog/tally/processors/decodecsv"
	"github.com/tallylog/tally/processors/decodejson"
	"github.com/tallylog/tally/processors/dissect"
	"github.com/tallylog/tally/processors/dropevent"
	"github.com/tallylog/tally/processors/dropfields"
	"github.com/tallylog/tally/processors/fingerprint"
	"github.com/tallylog/tally/processors/grok"
	"github.com/tallylog/tally/processors/includeevent"
	"github.com/tallylog/tally/processors/includefields"
	"github.com/tallylog/tally/processors/k8smeta"
	"github.com/tallylog/tally/processors/kv"
	"github.com/tallylog/tally/processors/multiline"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/processors/ratelimit"
	"github.com/tallylog/tally/processors/redact"
	"github.com/tallylog/tally/processors/rename"
	"github.com/tallylog/tally/processors/replace"
	"github.com/tallylog/tally/processors/route"
	"github.com/tallylog/tally/processors/sample"
	"github.com/tallylog/tally/processors/severity"
	"github.com/tallylog/tally/processors/split"
	"github.com/tallylog/tally/processors/timestamp"
	"github.com/tallylog/tally/processors/urlparse"
	"github.com/tallylog/tally/processors/useragent"
	"github.com/tallylog/tally/strictyaml"
)

// maker makes a processor of its configuration.
type maker func(strictyaml.Node) (processor.Processor, error)

// list is every processor by its names.
func list() map[string]maker {
	return map[string]maker{
		"add_fields":         of(addfields.New),
		"add_tags":           of(addtags.New),
		"convert":            of(convert.New),
		"copy":               of(copyfields.New),
		"copy_fields":        of(copyfields.New),
		"csv":                of(decodecsv.New),
		"decode_csv_fields":  of(decodecsv.New),
		"decode_json_fields": of(decodejson.New),
		"dissect":            of(dissect.New),
		"drop_event":         of(dropevent.New),
		"drop_fields":        of(dropfields.New),
		"fingerprint":        of(fingerprint.New),
		"grok":               of(grok.New),
		includeEvent:         of(includeevent.New),
		"include_fields":     of(includefields.New),
		"json":               of(decodejson.New),
		"k8smeta":            of(k8smeta.New),
		"kv":                 of(kv.New),
		"lowercase":          of(changecase.NewLower),
		"multiline":          of(multiline.New),
		"rate_limit":         of(ratelimit.New),
		"redact":             of(redact.New),
		"rename":             of(rename.New),
		"replace":            of(replace.New),
		"route":              of(route.New),
		"sample":             of(sample.New),
		"severity":           of(severity.New),
		"split":              of(split.New),
		"timestamp":          of(timestamp.New),
		"uppercase":          of(changecase.NewUpper),
		"urlparse":           of(urlparse.New),
		"user_agent":         of(useragent.New),
	}
}

// elsewhere are names that other programs (Logstash, Elasticsearch's ingest pipelines, Vector) or people give to what has another name here.
var elsewhere = map[string]string{
	"add": "add_fields", "add_field": "add_fields", "append": "add_tags", "copy_field": "copy_fields", "date": "timestamp", "dedot": "rename", "drop": "drop_event", "drop_field": "drop_fields",
	"gsub": "replace", "include": "include_event, or include_fields", "key_value": "kv", "logfmt": "kv", "mutate": "rename, convert, replace, split, lowercase or uppercase",
	"remove": "drop_fields", "remove_field": "drop_fields", "remove_fields": "drop_fields", "set": "add_fields", "throttle": "rate_limit", "uri_parts": "urlparse", "url": "urlparse",
	"useragent": "user_agent", "decode_json": "json", "decode_csv": "csv", "join_lines": "multiline", "reroute": "route", "level": "severity", "hash": "fingerprint",
}

// includeEvent has a when of its own: the caller's would mean the opposite of what it says.
const includeEvent = "include_event"

func of[P processor.Processor](make func(strictyaml.Node) (P, error)) maker {
	return func(n strictyaml.Node) (processor.Processor, error) {
		p, err := make(n)
		if err != nil {
			return nil, err
		}
		return p, nil
	}
}
