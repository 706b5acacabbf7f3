package multiline

import (
	"maps"
	"regexp"
	"slices"
)

// preset knows the stack traces of a language: which lines belong to the one before. All lines of a trace come after the log line
// that it belongs to, or after its own first line.
type preset struct {
	always *regexp.Regexp // belongs to the line before, whatever that is
	then   []follow       // belongs to a line before that looks so
}

type follow struct{ before, line *regexp.Regexp }

func (p *preset) continues(text, before string) bool {
	if p.always.MatchString(text) {
		return true
	}
	return slices.ContainsFunc(p.then, func(f follow) bool { return f.before.MatchString(before) && f.line.MatchString(text) })
}

func follows(before, line string) follow {
	return follow{regexp.MustCompile(before), regexp.MustCompile(line)}
}

// presets are the values of the key preset. testdata has what they are tested with.
var presets = map[string]*preset{
	// Frames, their abbreviation, causes and suppressed exceptions at any depth, and the exception's own line below that of the
	// logger.
	"java": {
		always: regexp.MustCompile(`^\s+(?:at\s|\.{3}\s|Suppressed:|Caused by:|- locked|- waiting|\|)|^(?:Caused by|Suppressed|Wrapped by):|` +
			`^(?:[a-z_][\w$]*\.)+[A-Z][\w$.]*(?:Exception|Error|Throwable|Failure)[\w$]*(?::|$)|^\s*\[CIRCULAR REFERENCE`),
		then: []follow{follows(`^\s+(?:at\s|\.{3}\s)`, `^\s`)},
	},
	// Tracebacks, with the sentences between chained ones, exception groups, and the exception's own lines at the end.
	"python": {
		always: regexp.MustCompile(`^\s*(?:\+ |\| )?(?:Exception Group )?Traceback \(most recent call last\):|^\s+(?:File "|\^+|~+|\[Previous line repeated)|` +
			`^During handling of the above exception|^The above exception was the direct cause|^  +[+|]`),
		then: []follow{
			follows(`^\s|^Traceback `, `^\s|^[\w.]+(?:Error|Exception|Warning|Interrupt|Exit|StopIteration|Group)?(?::\s.*)?$`),
		},
	},
	// What the runtime prints of a panic or fatal error: the goroutines with their frames, and the registers.
	"go": {
		always: regexp.MustCompile(`^goroutine \d+ (?:gp=\S+ m=\S+ (?:mp=\S+ )?)?\[|^\[signal |^\s+\S+\.(?:go|s):\d+|^created by |^exit status \d+$|^\[(?:recovered|originating)|^\tpanic: |^\s*\.{3}(?:additional|\d+ frames)`),
		then: []follow{
			follows(`^goroutine \d+ |^\s+\S+\.(?:go|s):\d+|^runtime stack:|additional frames elided`, `^[\w./*()\[\]{}$~@%,·-]+\(.*\)(?: in goroutine \d+)?$|^panic\(|^runtime stack:`),
			follows(`^panic: |^fatal error: |^runtime: |^\[signal |^SIG`, `^runtime stack:|^runtime: |^goroutine |^PC=|^\s|^panic: .*\[recovered`),
			follows(`^(?:r\w+|e\w+|[cfg]s|lr|pc|sp|fault)\s+0x|^\s+\S+\.(?:go|s):\d+`, `^(?:r\w+|e\w+|[cfg]s|lr|pc|sp|fault)\s+0x`),
		},
	},
	// Frames, causes, properties and the source line that node prints above an uncaught error.
	"nodejs": {
		always: regexp.MustCompile(`^\s+(?:at\s|\^|\[cause\]|\[errors\]|\.{3} \d+ lines matching)|^Caused by:|^\s+\[?\w+\]?: |^\s*[\]}]+,?$`),
		then: []follow{
			follows(`^\S.*:\d+$|^(?:node|file):`, `^\s`),
			follows(`^\s*\^+$`, `^(?:Uncaught )?[\w.$]*(?:Error|Exception)\b|^throw |^\S`),
			follows(`^\s|^[\]}]`, `^\s|^Node\.js v\d`),
		},
	},
}

// Presets are the names of the ready presets, in order.
func Presets() []string { return slices.Sorted(maps.Keys(presets)) }
