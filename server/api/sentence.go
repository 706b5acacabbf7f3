package api

import (
	"cmp"
	"fmt"

	"github.com/tallylog/tally/server/admit"
)

// lossWords say in words what a reason means.
var lossWords = map[string]string{
	"vacuumed":     "the journal's files with it were deleted before they were read",
	"truncated":    "the file was truncated before it was read, and no copy of it was found",
	"removed":      "the file was removed before it was read",
	"rate_limited": "a limit of the rate refused it",
	"too_long":     "it is longer than is allowed",
	"corrupt":      "its bytes could not be read where they are stored",
	"rejected":     "the server refused it as no valid event",
	"missing":      "the agent reports it as lost",
}

// unitName is one unit of a source in words.
func unitName(kind string, at int64) string {
	switch kind {
	case "file":
		return fmt.Sprintf("Byte %d", at)
	case "journal":
		return fmt.Sprintf("Entry %d", at)
	}
	return fmt.Sprintf("Line %d", at)
}

// sentence says for people what became of a unit.
func sentence(e *explanation, src *admit.Source) string {
	what := unitName(e.Kind, *e.Position) + " of " + e.Name
	switch e.State {
	case admit.StateStored:
		if e.ID == "" {
			return what + " has arrived, but no event that is stored now has it: it is older than the retention, was stored in this moment, or was left out of a source that has ended."
		}
		return fmt.Sprintf("%s is stored: event %s of %s.", what, e.ID, e.Time)
	case stateDuplicate:
		return fmt.Sprintf("%s is stored more than once, as it came again with another content; the newest is event %s of %s.", what, e.ID, e.Time)
	case admit.StateSkipped:
		if e.Detail != "" {
			return what + " arrived and was taken away by the server's configuration: " + e.Detail + "."
		}
		return what + " was read by the agent and left out on purpose: it is blank, a processor or the configuration filtered it, or reading began behind it."
	case admit.StateLost:
		why := cmp.Or(lossWords[e.Reason], e.Reason)
		if e.Detail != "" {
			why += " (" + e.Detail + ")"
		}
		return what + " will not arrive: " + why + "."
	case admit.StateInFlight:
		return what + " has not arrived, but what lies behind it has, less than a minute ago: it may be on its way."
	case admit.StateMissing:
		return what + " is missing: it has not arrived, though what lies behind it has. The gap closes if the agent still has it and sends it."
	}
	end := int64(0)
	if n := len(src.Ranges); n > 0 {
		end = src.Ranges[n-1][1]
	}
	return fmt.Sprintf("%s has not arrived: the agent has not read it yet, or it is not there. The account of the source reaches up to %d.", what, end)
}

// sentenceRejected tells of a unit that is a dead letter.
func sentenceRejected(e *explanation, letter, by, reason string) string {
	return fmt.Sprintf("%s of %s was rejected by %s (%s). It is the dead letter %s, which can be replayed.", unitName(e.Kind, *e.Position), e.Name, by, reason, letter)
}

func sentenceUnpositioned(e *explanation) string {
	return fmt.Sprintf("Event %s of %s is stored. Its client gave no position, so no account tells what was before and behind it.", e.ID, e.Time)
}

// never explains a source that nothing is known of.
func never(what admit.Filter) explanation {
	name := cmp.Or(what.Name, what.Source, what.ID, what.Pod)
	return explanation{
		Source: what.Source, Name: what.Name, State: admit.StateNotRead,
		Sentence: fmt.Sprintf("Nothing of %.300q has ever arrived: no agent has read it, or its account is older than the retention of the ledger.", name),
	}
}
