package journald

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
)

// Bounds on what a converter keeps between entries: the bytes of a value, the values of a field, and field names.
const (
	maxKept   = 256
	maxValues = 64
	maxNames  = 4096
)

// converter makes events of entries. It keeps field names and repeated values from entry to entry; it is used by one
// goroutine.
type converter struct {
	known          map[string]*conversion
	number         uint64 // of the entry under way
	remoteHostname bool
	entries        *entryConverter // nil: Filebeat's names
	command        string          // the last command line, and
	args           []string        // its arguments
	templates      templates
}

func newConverter(cfg *config) *converter {
	c := &converter{known: make(map[string]*conversion, 2*len(conversions)), remoteHostname: cfg.SaveRemoteHostname}
	c.templates.shared = cfg.shared
	if cfg.EntryFields != nil {
		c.entries = newEntryConverter(*cfg.EntryFields)
	}
	for _, conv := range conversions {
		if old := journalbeatNames[conv.field]; old != "" && cfg.JournalbeatFields {
			conv.names = append(slices.Clip(conv.names), old)
		}
		for _, n := range conv.names {
			conv.paths = append(conv.paths, strings.Split(n, "."))
		}
		c.known[conv.field] = &conv
	}
	return c
}

func (c *converter) conversion(name []byte) *conversion {
	if conv, ok := c.known[string(name)]; ok {
		return conv
	}
	field := strings.ToValidUTF8(string(name), "\uFFFD")
	conv := &conversion{field: field, paths: [][]string{{"journald", "custom", customName(field)}}}
	if len(c.known) < maxNames {
		c.known[field] = conv
	}
	return conv
}

// event makes the event of an entry, without its position. Values are copied out of the entry. A field with several values
// becomes an array of them all, but for the message, which is always text and has them on lines of their own.
func (c *converter) event(e *entry, created time.Time) beat.Event {
	if c.entries != nil {
		return c.entries.event(e)
	}
	fields, ok := c.templates.copy(c, e)
	if !ok {
		return c.whole(e, created)
	}
	c.setMessage(fields, e)
	return finished(e, fields, created)
}

// whole makes an event that shares no maps with others.
func (c *converter) whole(e *entry, created time.Time) beat.Event {
	if c.entries != nil {
		return c.entries.event(e)
	}
	return finished(e, c.fields(e, true), created)
}

func finished(e *entry, fields common.MapStr, created time.Time) beat.Event {
	fields["event"] = common.MapStr{"kind": "event", "created": common.Time(created.UTC())}
	if e.cut {
		put(fields, []string{"truncated"}, "log", "flags")
	}
	return beat.Event{Timestamp: time.UnixMicro(int64(e.realtime)), Fields: fields}
}

// setMessage sets the message as fields does.
func (c *converter) setMessage(fields common.MapStr, e *entry) {
	var text any
	for i := range e.fields {
		f := &e.fields[i]
		if conv := c.conversion(f.name); conv.role == isMessage {
			v := conv.convert(f.value)
			if text != nil {
				v = join(text, v, true)
			}
			text = v
		}
	}
	if text != nil {
		fields["message"] = text
	}
}

// fields makes the fields of the entry's event, with its message or without.
func (c *converter) fields(e *entry, message bool) common.MapStr {
	c.number++
	fields := make(common.MapStr, 12)
	var derived [roles]any
	for i := range e.fields {
		f := &e.fields[i]
		conv := c.conversion(f.name)
		if conv.paths == nil || conv.role == isMessage && !message {
			continue
		}
		v := conv.convert(f.value)
		derived[conv.role] = v
		// Several custom fields may have one name: _FOO and FOO.
		again := conv.seen == c.number || len(conv.names) == 0
		conv.seen = c.number
		for _, path := range conv.paths {
			m, last := descend(fields, path)
			if again {
				if old, ok := m[last]; ok {
					m[last] = join(old, v, conv.role == isMessage)
					continue
				}
			}
			m[last] = v
		}
	}
	c.derive(fields, &derived)
	if host := derived[isHostname]; c.remoteHostname && host != nil {
		put(fields, host, "log", "source", "address")
	}
	return fields
}

// convert returns an int64 for integer fields, else a string; text where a number is wanted stays text.
func (c *conversion) convert(raw []byte) any {
	if v, ok := c.kept[string(raw)]; ok {
		c.hits++
		return v
	}
	s := string(raw)
	value := strings.ToValidUTF8(s, "\uFFFD")
	var v any = value
	if c.parse != nil {
		v = c.parse(value)
	}
	if c.integer {
		// Some versions of systemd append the user's name to SYSLOG_PID: "123,root".
		digits, _, _ := strings.Cut(value, ",")
		if n, err := strconv.ParseInt(digits, 10, 64); err == nil {
			v = n
		}
	}
	if len(raw) <= maxKept && c.role != isMessage && !c.varied {
		c.keep(s, v)
	}
	return v
}

// keep remembers what a value becomes. A field with ever new values is found out and left alone.
func (c *conversion) keep(s string, v any) {
	if c.misses++; c.misses%1024 == 0 && c.hits < c.misses {
		c.varied, c.kept = true, nil
		return
	}
	if c.kept == nil || len(c.kept) >= maxValues {
		c.kept = make(map[string]any, 8)
	}
	c.kept[s] = v
}

func join(old, v any, asText bool) any {
	switch old := old.(type) {
	case string:
		s, ok := v.(string)
		switch {
		case ok && asText:
			return old + "\n" + s
		case ok:
			return []string{old, s}
		}
	case []string:
		if s, ok := v.(string); ok {
			return append(old, s)
		}
		all := make([]any, 0, len(old)+1)
		for _, s := range old {
			all = append(all, s)
		}
		return append(all, v)
	case []any:
		return append(old, v)
	}
	return []any{old, v}
}

// descend returns the map that holds the last part of the path, making maps on the way.
func descend(m common.MapStr, path []string) (common.MapStr, string) {
	last := len(path) - 1
	for _, p := range path[:last] {
		next, ok := m[p].(common.MapStr)
		if !ok {
			next = common.MapStr{}
			m[p] = next
		}
		m = next
	}
	return m, path[last]
}

func put(m common.MapStr, v any, path ...string) {
	at, last := descend(m, path)
	at[last] = v
}

// derive fills the ECS fields user.* and process.*. Fields about another process on whose behalf the entry was written
// (OBJECT_…) go before those of the writer.
func (c *converter) derive(fields common.MapStr, d *[roles]any) {
	deriveUser(fields, d[isLogin], d[isUID], d[isGID])
	deriveUser(fields, d[isObjectLogin], d[isObjectUID], d[isObjectGID])
	for _, pid := range []any{d[isPID], d[isObjectPID]} {
		if pid != nil {
			put(fields, integer(pid), "process", "pid")
		}
	}
	for _, v := range []any{d[isCommand], d[isObjectCommand]} {
		command, ok := v.(string)
		if !ok || command == "" {
			continue
		}
		put(fields, v, "process", "command_line")
		if args := c.arguments(command); len(args) > 0 {
			put(fields, args, "process", "args")
			put(fields, len(args), "process", "args_count")
		}
	}
}

func deriveUser(fields common.MapStr, login, uid, gid any) {
	if login != nil {
		put(fields, decimal(login), "user", "id")
	}
	if uid == nil {
		return
	}
	user, _ := descend(fields, userFields)
	if login != nil && integer(login) != integer(uid) {
		user, _ = descend(fields, effectiveFields)
	}
	user["id"] = decimal(uid)
	user["group"] = common.MapStr{"id": decimal(gid)}
}

var userFields, effectiveFields = []string{"user", "id"}, []string{"user", "effective", "id"}

// integer is 0 for what is no number, as in Filebeat.
func integer(v any) int64 { n, _ := v.(int64); return n }

func decimal(v any) string { return strconv.FormatInt(integer(v), 10) }

var argument = regexp.MustCompile(`"(\\"|[^"])*?"|[^\s]+`)

func (c *converter) arguments(command string) []string {
	if command != c.command {
		c.command, c.args = command, argument.FindAllString(command, -1)
	}
	return append([]string(nil), c.args...)
}
