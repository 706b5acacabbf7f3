package journald

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
)

// entryFields is the option of the same name: events carry the fields of the entry as they are, as Journalbeat 5 (mheese)
// wrote them, in place of Filebeat's names for them.
type entryFields struct {
	// Target is the field, dotted, below which they go; the top of the event where it is empty.
	Target string `config:"target"`
	// CleanNames makes _HOSTNAME hostname.
	CleanNames bool `config:"clean_names"`
	// Numbers makes numbers of text that is the same when the number is printed.
	Numbers bool `config:"numbers"`
	// PriorityNames makes PRIORITY=3 error, FacilityNames makes SYSLOG_FACILITY=3 daemon.
	PriorityNames bool `config:"priority_names"`
	FacilityNames bool `config:"facility_names"`
	// Type is the event's field type, where the entry gives it none; absent where it is empty.
	Type string `config:"type"`
	// Beat adds beat.name, beat.hostname and beat.version, as libbeat 5 did.
	Beat bool `config:"beat"`
	// Catalog adds catalog_entry, what the machine's message catalog says of the entry, where it says something.
	Catalog bool `config:"catalog"`

	agent common.MapStr // what Beat adds
}

var oddDots = regexp.MustCompile(`\.{2,}|\.$|^\.`)

// Validate is called by Unpack.
func (c *entryFields) Validate() error {
	if oddDots.MatchString(c.Target) {
		return fmt.Errorf("invalid setting %q for target: a name with single dots between its parts is wanted", c.Target)
	}
	if first, _, _ := strings.Cut(c.Target, "."); first == "message" || first == "type" || strings.HasPrefix(first, "@") {
		return fmt.Errorf("invalid setting %q for target: %s is another field of the event", c.Target, first)
	}
	return nil
}

// entryConverter makes events of entries under an entryFields. It is used by one goroutine.
type entryConverter struct {
	entryFields
	target  []string
	known   map[string]*entryField
	catalog catalog
	names   struct{ message, cursor, realtime, monotonic, catalog string }
}

// entryField is a field of the journal: its key in the event, and what of its values is remembered.
type entryField struct {
	conversion
	key string
}

func newEntryConverter(c entryFields) *entryConverter {
	e := &entryConverter{entryFields: c, known: map[string]*entryField{}}
	if c.Target != "" {
		e.target = strings.Split(c.Target, ".")
	}
	e.names.message, e.names.cursor = e.name("MESSAGE"), e.name("__CURSOR")
	e.names.realtime, e.names.monotonic = e.name("__REALTIME_TIMESTAMP"), e.name("__MONOTONIC_TIMESTAMP")
	e.names.catalog = e.name("CATALOG_ENTRY")
	return e
}

func (c *entryConverter) name(field string) string {
	if !c.CleanNames {
		return field
	}
	return customName(field)
}

func (c *entryConverter) field(name []byte) *entryField {
	if f, ok := c.known[string(name)]; ok {
		return f
	}
	field := strings.ToValidUTF8(string(name), "\uFFFD")
	f := &entryField{key: c.name(field)}
	f.parse = c.value
	switch {
	case field == "MESSAGE", c.Target == "" && f.key == "message":
		f.role = isMessage
		f.parse = nil
	case field == "PRIORITY" && c.PriorityNames:
		f.parse = named(priorities[:])
	case field == "SYSLOG_FACILITY" && c.FacilityNames:
		f.parse = named(facilities[:])
	case alwaysText[field]:
		f.parse = nil
	}
	if len(c.known) < maxNames {
		c.known[field] = f
	}
	return f
}

// event makes the event of an entry, without its position.
func (c *entryConverter) event(e *entry) beat.Event {
	fields := make(common.MapStr, 8)
	in := fields
	for _, name := range c.target {
		m := make(common.MapStr, 32)
		in[name] = m
		in = m
	}
	for i := range e.fields {
		f := c.field(e.fields[i].name)
		v := f.convert(e.fields[i].value)
		if f.role == isMessage {
			if old, ok := fields["message"]; ok {
				v = join(old, v, true)
			}
			fields["message"] = v
		}
		if f.role != isMessage || !c.CleanNames {
			// Names that were different may be the same when they are clean.
			if old, ok := in[f.key]; ok && f.role != isMessage {
				v = join(old, v, false)
			}
			in[f.key] = v
		}
	}
	if c.Catalog {
		if text := c.catalog.explain(e); text != "" {
			in[c.names.catalog] = text
		}
	}
	in[c.names.cursor] = e.cursor.String()
	in[c.names.realtime] = c.time(e.realtime)
	in[c.names.monotonic] = c.time(e.monotonic)
	fields["@realtime_timestamp"] = int64(e.realtime)
	if c.Type != "" {
		if _, ok := fields["type"].(string); !ok {
			fields["type"] = c.Type
		}
	}
	if c.agent != nil {
		fields["beat"] = c.agent.Clone()
	}
	if e.cut {
		put(fields, []string{"truncated"}, "log", "flags")
	}
	return beat.Event{Timestamp: time.UnixMicro(int64(e.realtime)), Fields: fields}
}

// whole takes out of an event, which was joined from pieces, what says that it is one.
func (c *entryConverter) whole(fields common.MapStr) {
	in := fields
	for _, name := range c.target {
		m, ok := in[name].(common.MapStr)
		if !ok {
			return
		}
		in = m
	}
	for _, name := range []string{"CONTAINER_PARTIAL_MESSAGE", "CONTAINER_PARTIAL_ID", "CONTAINER_PARTIAL_ORDINAL", "CONTAINER_PARTIAL_LAST"} {
		delete(in, c.name(name))
	}
	if !c.CleanNames {
		in[c.names.message] = fields["message"]
	}
}

func (c *entryConverter) time(microseconds uint64) any {
	if c.Numbers {
		return int64(microseconds)
	}
	return strconv.FormatUint(microseconds, 10)
}

// value makes of a text what Journalbeat 5 made of it: true and false of the words, numbers where that is wanted; but no number
// that would be printed in another way than the text is written, as 007, 1e5 or 0x1F would.
func (c *entryConverter) value(s string) any {
	switch s {
	case "true", "TRUE", "True":
		return true
	case "false", "FALSE", "False":
		return false
	}
	if !c.Numbers || s == "" || s[0] != '-' && (s[0] < '0' || s[0] > '9') {
		return s
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && strconv.FormatInt(n, 10) == s {
		return n
	}
	if n, err := strconv.ParseUint(s, 10, 64); err == nil && strconv.FormatUint(n, 10) == s {
		return n
	}
	if !strings.Contains(s, ".") {
		return s
	}
	if n, err := strconv.ParseFloat(s, 64); err == nil && strconv.FormatFloat(n, 'f', -1, 64) == s {
		return n
	}
	return s
}

// named turns a number into its name; what has no name stays.
func named(names []string) func(string) any {
	return func(s string) any {
		if n, err := strconv.Atoi(s); err == nil && n >= 0 && n < len(names) && strconv.Itoa(n) == s {
			return names[n]
		}
		return s
	}
}

// The names are Journalbeat 5's.
var (
	priorities = [...]string{"emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug"}
	facilities = [...]string{
		"kernel", "user", "mail", "daemon", "auth", "syslog", "line printer", "network news", "uucp", "clock daemon", "security/auth", "ftp",
		"ntp", "log audit", "log alert", "clock daemon", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
	}
)

// alwaysText are fields that hold names and identifiers. One that happens to be made of digits is no number: conditions on text
// would not see it, and a store that took its field for one of numbers would refuse the next.
var alwaysText = map[string]bool{
	"CONTAINER_ID": true, "CONTAINER_ID_FULL": true, "CONTAINER_NAME": true, "CONTAINER_TAG": true, "CONTAINER_PARTIAL_ID": true,
	"IMAGE_NAME": true, "_HOSTNAME": true, "_MACHINE_ID": true, "_BOOT_ID": true, "MESSAGE_ID": true, "_SYSTEMD_INVOCATION_ID": true,
	"_COMM": true, "_EXE": true, "_CMDLINE": true, "_CAP_EFFECTIVE": true, "_SYSTEMD_UNIT": true, "_SYSTEMD_USER_UNIT": true,
	"SYSLOG_IDENTIFIER": true, "UNIT": true, "USER_UNIT": true,
}
