package intake

import (
	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/admit"
	"github.com/tallylog/tally/server/record"
)

// ControlNotes are what a control record tells the account; none for a record that was not valid.
func ControlNotes(e *event.Event) (list []record.Note) {
	c := e.Control
	n := record.Note{Source: c.Source, Range: c.Range}
	switch c.Kind {
	case event.ControlLost:
		n.Kind, n.Text = record.Lost, c.Reason
		if c.Detail != "" {
			n.Text += ": " + c.Detail
		}
	case event.ControlSkipped:
		n.Kind = record.Skipped
	case event.ControlComplete:
		n.Kind = record.Complete
	case event.ControlStatus:
		return []record.Note{{Kind: record.Status, Source: c.Source, Text: c.Status}}
	default:
		return nil
	}
	if c.Name != "" {
		list = append(list, record.Note{Kind: record.Name, Source: c.Source, Text: c.Name})
	}
	if text := admit.AttributesOf(e, c.Source).Text(); text != "" {
		list = append(list, record.Note{Kind: record.Attributes, Source: c.Source, Text: text})
	}
	return append(list, n)
}
