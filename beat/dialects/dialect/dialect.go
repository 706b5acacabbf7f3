package dialect

import "fmt"

// Native is the section of the agent's own configuration into which adapters put inputs. The program calls it by the name it
// goes by itself (filebeat, journalbeat); adapters need not care.
const Native = "tallybeat"

// Dialect translates one foreign configuration into ours. Adapters have no state and may be used by several goroutines.
type Dialect interface {
	// Name is for people: "journalbeat 5 (mheese)".
	Name() string
	// Speaks tells whether a configuration is, or has parts, of this dialect. beat is the name that the program goes by. c is
	// nested: dotted keys are expanded. Values are bool, int, uint64, float64, string, nil, []any and map[string]any;
	// ${VAR} is text. c is not changed.
	Speaks(beat string, c map[string]any) bool
	// Translate is called after Speaks said yes, and may change c and use its parts in the result. The parts of c that
	// are of another dialect stay as they are. An error about one key is a *KeyError.
	Translate(c map[string]any) (Result, error)
}

// Result is a translated configuration.
type Result struct {
	Config map[string]any
	Notes  []Note
}

// Note tells what became of one key.
type Note struct {
	Key  string // dotted key as the user wrote it: "filebeat.prospectors.0.input_type"
	Now  string // dotted key that took its place: "filebeat.inputs.0.type"; "" where there is none
	Text string // in a sentence: what was translated to what, or why it has no effect; "" where another note says so already
}

// String is the note as a line for people.
func (n Note) String() string { return n.Key + ": " + n.Text }

// KeyError is what cannot be translated: an unknown or removed key, with what replaces it, or a value that cannot be used.
type KeyError struct {
	Key  string // dotted key as the user wrote it
	Text string // in a sentence that begins with what is wrong and ends with what replaces it
}

// Error names the key in the way of go-ucfg, by which the program finds its line.
func (e *KeyError) Error() string { return fmt.Sprintf("%s accessing '%s'", e.Text, e.Key) }
