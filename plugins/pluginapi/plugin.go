package pluginapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
)

// Plugin is a processor. Describe is called first, once; Configure once, after it; then Process, until the program ends.
type Plugin interface {
	// Describe says what the plugin is and needs. It must always say the same.
	Describe() Description
	// Configure takes the options, which have been checked against Description.Options and filled up with the defaults. An error
	// ends the start: Tally shows it to the operator beside the place of the plugin in the file.
	Configure(Config) error
	// Process changes events in place: Set, Delete, Tag, Drop, Split, Fail. The events are in the order in which they came; they
	// and their texts belong to the plugin for the length of the call. ctx ends when Tally no longer waits. An error fails the whole
	// batch: what has been done to its events does not count, and on_failure in Tally's configuration says what becomes of
	// them. Process is called by one goroutine at a time, unless Description.Concurrent is set.
	Process(ctx context.Context, events []*Event) error
}

// Description is what a plugin says of itself.
type Description struct {
	Name    string `json:"name"`    // lower case, digits, - and _
	Version string `json:"version"` // its own, for people
	Summary string `json:"summary,omitempty"`
	// Reads are the fields that travel to the plugin: dotted names (http.request.method), each standing for the field or the whole
	// object of that name; "*" for all. Each field costs time, so name those that are needed. The time is the field @timestamp.
	Reads []string `json:"reads"`
	// Writes are the fields that the plugin may set or delete, in the same notation. An answer that touches others is refused.
	// _id and everything below tally belong to the server.
	Writes []string `json:"writes,omitempty"`
	// Options is what the configuration may hold.
	Options []Option `json:"options,omitempty"`
	// Needs are capabilities of the host (Drop, Split, Fail, Tag) without which the plugin cannot do its work.
	Needs []string `json:"needs,omitempty"`
	// Concurrent allows Process to be called by several goroutines at once.
	Concurrent bool `json:"concurrent,omitempty"`
}

// Capabilities that a host may have. This version of Tally has them all.
const (
	CanDrop  = "drop"
	CanSplit = "split"
	CanFail  = "fail"
	CanTag   = "tag"
)

// Option is one key of a plugin's configuration.
type Option struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"` // one of the Type constants
	Required bool     `json:"required,omitempty"`
	Default  any      `json:"default,omitempty"`
	Values   []string `json:"values,omitempty"` // of a string: no others are allowed
	Help     string   `json:"help,omitempty"`
}

// Types of options.
const (
	TypeString  = "string"
	TypeInteger = "integer"
	TypeNumber  = "number"
	TypeBoolean = "boolean"
	TypeList    = "list"   // of anything
	TypeObject  = "object" // keys and values
)

// Config holds the options as a JSON object.
type Config json.RawMessage

// Decode fills the struct that to points to, by its json tags. A key that the struct lacks is an error.
func (c Config) Decode(to any) error {
	d := json.NewDecoder(bytes.NewReader(c))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return fmt.Errorf("cannot read the configuration: %w", err)
	}
	return nil
}

// The handshake of go-plugin, and the names on the wire. A host that speaks several versions offers them, and the program answers
// with the one it has.
const (
	ProtocolVersion = 1
	CookieKey       = "TALLY_PLUGIN"
	CookieValue     = "b7d1c9b2-processor"
	Service         = "tally.plugin.v1.Processor"
	// MaxMessage bounds, in bytes, what goes over the wire at once, either way.
	MaxMessage = 64 << 20
)
