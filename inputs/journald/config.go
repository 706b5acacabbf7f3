package journald

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"time"

	"github.com/elastic/beats/v7/libbeat/common"

	"github.com/tallylog/tally/inputs/multiline"
)

const (
	seekHead   = "head"
	seekTail   = "tail"
	seekSince  = "since"
	seekCursor = "cursor"
	seekNone   = "none"

	filtersAll = "all"
	filtersAny = "any"
)

// config holds the options of one input. README.md says what each means.
type config struct {
	ID                 string            `config:"id"`
	Paths              []string          `config:"paths"`
	Backoff            time.Duration     `config:"backoff" validate:"min=0,nonzero"`
	MaxBackoff         time.Duration     `config:"max_backoff" validate:"min=0,nonzero"`
	Seek               string            `config:"seek"`
	CursorSeekFallback string            `config:"cursor_seek_fallback"`
	Since              string            `config:"since"`
	IncludeMatches     *common.Config    `config:"include_matches"`
	Units              []string          `config:"units"`
	Identifiers        []string          `config:"identifiers"`
	SyslogIdentifiers  []string          `config:"syslog_identifiers"`
	Transports         []string          `config:"transports"`
	Kernel             bool              `config:"kernel"`
	Boot               string            `config:"boot"`
	SaveRemoteHostname bool              `config:"save_remote_hostname"`
	JoinPartial        bool              `config:"join_partial"`
	PartialTimeout     time.Duration     `config:"partial_timeout" validate:"min=0,nonzero"`
	Multiline          *multiline.Config `config:"multiline"`
	JournalbeatFields  bool              `config:"journalbeat_fields"`
	EntryFields        *entryFields      `config:"entry_fields"`
	CursorFileRaw      *common.Config    `config:"cursor_file"`
	CursorFile         *cursorFileConfig `config:",ignore"`
	Filters            string            `config:"filters"`

	shared bool      // see Options.Shared
	match  matcher   // nil: every entry
	since  time.Time // of Since, taken once
}

func defaultConfig() config {
	return config{
		Backoff:            time.Second,
		MaxBackoff:         20 * time.Second,
		Seek:               seekCursor,
		CursorSeekFallback: seekHead,
		JoinPartial:        true,
		PartialTimeout:     5 * time.Second,
		Filters:            filtersAll,
	}
}

// Validate is called by Unpack; its error names the option.
func (c *config) Validate() error {
	switch c.Seek {
	case seekHead, seekTail, seekSince, seekCursor:
	default:
		return fmt.Errorf("invalid setting %q for seek: want head, tail, since or cursor", c.Seek)
	}
	switch c.CursorSeekFallback {
	case seekHead, seekTail, seekSince:
	case seekNone:
		if c.CursorFileRaw == nil {
			return errors.New("none for cursor_seek_fallback needs cursor_file")
		}
	default:
		return fmt.Errorf("invalid setting %q for cursor_seek_fallback: want head, tail, since or none", c.CursorSeekFallback)
	}
	if c.Filters != filtersAll && c.Filters != filtersAny {
		return fmt.Errorf("invalid setting %q for filters: want all or any", c.Filters)
	}
	if needed := c.Seek == seekSince || c.Seek == seekCursor && c.CursorSeekFallback == seekSince; needed != (c.Since != "") {
		return errors.New("since must be set where seek or cursor_seek_fallback is since, and only there")
	}
	if c.Boot != "" && c.Boot != "current" {
		if _, err := parseID128(strings.ReplaceAll(c.Boot, "-", "")); err != nil {
			return fmt.Errorf("invalid setting %q for boot: want current or a boot id: %w", c.Boot, err)
		}
	}
	return nil
}

// prepare makes of the options what reading needs. alternatives: see Options.Alternatives.
func (c *config) prepare(now time.Time, alternatives bool) (err error) {
	if c.CursorFileRaw != nil {
		file := defaultCursorFile()
		if err := c.CursorFileRaw.Unpack(&file); err != nil {
			return fmt.Errorf("cursor_file: %w", err)
		}
		c.CursorFile = &file
	}
	if c.Since != "" {
		if c.since, err = parseSince(c.Since, now); err != nil {
			return err
		}
	}
	var all allOf
	add := func(m matcher) {
		if m != nil {
			all = append(all, m)
		}
	}
	m, err := c.includeMatches(alternatives)
	if err != nil {
		return fmt.Errorf("include_matches: %w", err)
	}
	add(m)
	for _, u := range c.Units {
		if _, err := path.Match(u, ""); err != nil || u == "" {
			return fmt.Errorf("invalid setting %q for units: want the name of a unit, or a pattern", u)
		}
	}
	switch {
	case len(c.Units) > 0 && c.Kernel:
		add(anyOf{newUnits(c.Units), equal("_TRANSPORT", "kernel")})
	case len(c.Units) > 0:
		add(newUnits(c.Units))
	case c.Kernel:
		add(equal("_TRANSPORT", "kernel"))
	}
	if ids := append(append([]string(nil), c.Identifiers...), c.SyslogIdentifiers...); len(ids) > 0 {
		add(equal("SYSLOG_IDENTIFIER", ids...))
	}
	if len(c.Transports) > 0 {
		add(equal("_TRANSPORT", c.Transports...))
	}
	if c.Boot != "" {
		id, err := bootID(c.Boot)
		if err != nil {
			return err
		}
		add(equal("_BOOT_ID", id))
	}
	switch {
	case len(all) > 0 && c.Filters == filtersAny:
		c.match = anyOf(all)
	case len(all) > 0:
		c.match = all
	}
	return nil
}

func bootID(boot string) (string, error) {
	if boot == "current" {
		b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
		if err != nil {
			return "", fmt.Errorf("cannot find the current boot: %w", err)
		}
		boot = strings.TrimSpace(string(b))
	}
	return strings.ReplaceAll(boot, "-", ""), nil
}

// parseSince reads a duration before now ("-24h", or "24h") or a time (RFC 3339, or "2006-01-02 15:04:05" as local time).
func parseSince(s string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(s); err == nil {
		return now.Add(-d.Abs()), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, nil
	}
	if t, err := time.ParseInLocation(time.DateTime, s, time.Local); err == nil {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("invalid setting %q for since: want a duration like -24h, or a time like 2024-05-01T10:00:00Z", s)
}

// matches is the nested form of include_matches: Filebeat's since 7.16. All that is given at one level must hold.
type matches struct {
	Match []string  `config:"match"`
	And   []matches `config:"and"`
	Or    []matches `config:"or"`
}

func (c *config) includeMatches(alternatives bool) (matcher, error) {
	if c.IncludeMatches == nil {
		return nil, nil
	}
	if c.IncludeMatches.IsArray() {
		var list []string
		if err := c.IncludeMatches.Unpack(&list); err != nil {
			return nil, err
		}
		if alternatives {
			return newAlternatives(list)
		}
		return newMatches(list)
	}
	for _, name := range c.IncludeMatches.GetFields() {
		if name != "match" && name != "and" && name != "or" {
			return nil, fmt.Errorf("unknown key %q: want match, and, or", name)
		}
	}
	var m matches
	if err := c.IncludeMatches.Unpack(&m); err != nil {
		return nil, err
	}
	return m.matcher()
}

func (m *matches) matcher() (matcher, error) {
	var all allOf
	own, err := newMatches(m.Match)
	if err != nil {
		return nil, err
	}
	if own != nil {
		all = append(all, own)
	}
	for i := range m.And {
		x, err := m.And[i].matcher()
		if err != nil {
			return nil, err
		}
		if x != nil {
			all = append(all, x)
		}
	}
	var or anyOf
	for i := range m.Or {
		x, err := m.Or[i].matcher()
		if err != nil {
			return nil, err
		}
		if x != nil {
			or = append(or, x)
		}
	}
	if len(or) > 0 {
		all = append(all, or)
	}
	if len(all) == 0 {
		return nil, nil
	}
	return all, nil
}
