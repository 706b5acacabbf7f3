package applog

import (
	"slices"

	"github.com/elastic/beats/v7/libbeat/common/match"
)

// filters says whether lines are chosen by what they hold.
func (c *config) filters() bool { return len(c.IncludeLines) > 0 || len(c.ExcludeLines) > 0 }

// wantsText says whether an event with this text is shipped, with the meaning of Filebeat's include_lines and exclude_lines: both
// look at the event that multiline has made.
func (c *config) wantsText(text string) bool {
	matches := func(list []match.Matcher) bool {
		return slices.ContainsFunc(list, func(m match.Matcher) bool { return m.MatchString(text) })
	}
	return (len(c.IncludeLines) == 0 || matches(c.IncludeLines)) && (len(c.ExcludeLines) == 0 || !matches(c.ExcludeLines))
}

func (in *Input) wantedUnits(units []unit) []unit {
	if !in.cfg.filters() {
		return units
	}
	return slices.DeleteFunc(units, func(u unit) bool { return !in.cfg.wantsText(u.text) })
}

// wantedSpans removes what is filtered out. It counts as skipped then.
func (in *Input) wantedSpans(f *format, b []byte, spans []span) []span {
	if !in.cfg.filters() {
		return spans
	}
	return slices.DeleteFunc(spans, func(sp span) bool { return !in.cfg.wantsText(in.joined(f.decode(b[sp.from:sp.text]))) })
}
