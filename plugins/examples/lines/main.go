// Command lines is an example of a plugin: it makes several events of a message that holds several lines, drops blank lines, and
// numbers the rest.
package main

import (
	"context"
	"strings"

	"github.com/tallylog/tally/plugins/pluginapi"
)

func main() { pluginapi.Serve(&lines{}) }

type lines struct {
	c struct {
		Separator string `json:"separator"`
		Max       int    `json:"max"`
	}
}

// Describe implements pluginapi.Plugin.
func (*lines) Describe() pluginapi.Description {
	return pluginapi.Description{
		Name: "lines", Version: "1.0", Summary: "makes an event of each line of a message",
		Reads: []string{"message"}, Writes: []string{"message", "log.line"},
		Options: []pluginapi.Option{
			{Name: "separator", Type: pluginapi.TypeString, Default: "\n", Help: "what stands between two lines"},
			{Name: "max", Type: pluginapi.TypeInteger, Default: 500, Help: "a message of more lines fails"},
		},
		Needs:      []string{pluginapi.CanSplit, pluginapi.CanDrop, pluginapi.CanFail},
		Concurrent: true, // Process only reads what Configure has set
	}
}

// Configure implements pluginapi.Plugin.
func (l *lines) Configure(c pluginapi.Config) error { return c.Decode(&l.c) }

// Process implements pluginapi.Plugin.
func (l *lines) Process(_ context.Context, events []*pluginapi.Event) error {
	for _, e := range events {
		message, ok := e.Get("message")
		if !ok {
			continue // not of this kind
		}
		list := strings.Split(message, l.c.Separator)
		if len(list) > l.c.Max {
			e.Fail("the message has too many lines")
			continue
		}
		if len(list) == 1 && strings.TrimSpace(message) != "" {
			continue // untouched events cost least
		}
		for i, part := range e.Split(len(list)) {
			if strings.TrimSpace(list[i]) == "" {
				part.Drop()
				continue
			}
			part.Set("message", list[i])
			part.SetInt("log.line", int64(i+1))
		}
	}
	return nil
}
