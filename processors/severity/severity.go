package severity

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// FailureTag marks an event without a level that is known.
const FailureTag = "_severityfailure"

// scale are the names of the levels; their places are the numerical codes of RFC 5424, trace excepted.
var scale = [...]string{"emergency", "alert", "critical", "error", "warning", "notice", "info", "debug", "trace"}

// words are what loggers call the levels, in lower case: syslog, Java (java.util.logging too), Go, Python, Ruby, Node.js, glog,
// PostgreSQL, Redis, nginx, .NET, Rust.
var words = map[string]int{
	"emergency": 0, "emerg": 0, "panic": 0, "dpanic": 0,
	"alert":    1,
	"critical": 2, "crit": 2, "fatal": 2, "severe": 3, "off": 0,
	"error": 3, "err": 3, "e": 3, "eror": 3, "fail": 3, "failure": 3,
	"warning": 4, "warn": 4, "w": 4, "wrn": 4,
	"notice": 5, "note": 5, "n": 5,
	"info": 6, "information": 6, "informational": 6, "i": 6, "inf": 6, "log": 6, "statement": 6, "config": 6, "system": 6,
	"debug": 7, "d": 7, "dbg": 7, "debug1": 7, "debug2": 7, "debug3": 7, "debug4": 7, "debug5": 7, "fine": 7, "verbose": 7, "v": 7,
	"trace": 8, "t": 8, "trc": 8, "finer": 8, "finest": 8, "silly": 8, "all": 8, "f": 2, "c": 2, "ftl": 2,
}

// Processor reads levels.
type Processor struct {
	c     config
	table func(int64) (int, bool)
}

type config struct {
	Fields        strictyaml.Texts  `yaml:"fields"`
	Target        string            `yaml:"target"`
	NumberTarget  string            `yaml:"number_target"`
	Numbers       string            `yaml:"numbers"`
	Text          string            `yaml:"text"`
	Map           map[string]string `yaml:"map"`
	IgnoreFailure bool              `yaml:"ignore_failure"`
}

var _ processor.Processor = (*Processor)(nil)

// New reads the configuration; README.md says what each key means.
func New(n strictyaml.Node) (*Processor, error) {
	c := config{Fields: strictyaml.Texts{"log.level", "level", "severity", "lvl", "levelname", "loglevel", "log.syslog.severity.code", "syslog.priority"},
		Target: "log.level", NumberTarget: "event.severity", Numbers: "syslog", IgnoreFailure: true}
	if err := n.Decode(&c); err != nil {
		return nil, err
	}
	p := &Processor{c: c, table: numbers(c.Numbers)}
	if p.table == nil {
		return nil, n.At("numbers").Errorf("%q is none of syslog, pino, python, otel", c.Numbers)
	}
	for word, level := range c.Map {
		if _, ok := words[level]; !ok {
			return nil, n.At("map").Errorf("%s: %q is none of %s", word, level, strings.Join(scale[:], ", "))
		}
	}
	for key, name := range map[string]string{"target": c.Target, "number_target": c.NumberTarget} {
		if err := processor.CheckName(name); name != "" && err != nil || name == event.Timestamp {
			return nil, n.At(key).Errorf("the field %q cannot hold a level", name)
		}
	}
	return p, nil
}

// numbers gives the meaning of numbers in a family of loggers.
func numbers(name string) func(int64) (int, bool) {
	switch name {
	case "syslog":
		return func(n int64) (int, bool) { return int(n), n >= 0 && n <= 7 }
	case "pino": // and bunyan: 10 trace … 60 fatal
		return func(n int64) (int, bool) { return steps(n, 8, 7, 6, 4, 3, 2) }
	case "python": // 10 debug … 50 critical
		return func(n int64) (int, bool) { return steps(n, 7, 6, 4, 3, 2) }
	case "otel": // 1-4 trace … 21-24 fatal
		return func(n int64) (int, bool) {
			if n < 1 || n > 24 {
				return 0, false
			}
			return steps((n+3)/4*10, 8, 7, 6, 4, 3, 2)
		}
	}
	return nil
}

func steps(n int64, levels ...int) (int, bool) {
	if n < 1 {
		return 0, false
	}
	return levels[min(len(levels), int(max(10, min(n, 100))/10))-1], true
}

var errNone = &processor.Failure{Tag: FailureTag, Err: errors.New("severity: no level that is known")}

// Process implements processor.Processor.
func (p *Processor) Process(e *event.Event) (bool, error) {
	level, ok := p.find(e)
	if !ok {
		if p.c.IgnoreFailure {
			return true, nil
		}
		return true, errNone
	}
	if p.c.Target != "" {
		e.Put(p.c.Target, scale[level])
	}
	if p.c.NumberTarget != "" {
		e.PutField(processor.Integer(p.c.NumberTarget, int64(min(level, 7))))
	}
	return true, nil
}

func (p *Processor) find(e *event.Event) (int, bool) {
	for _, name := range p.c.Fields {
		f, ok := processor.Get(e, name)
		if !ok {
			continue
		}
		if level, ok := p.level(f.Value); ok {
			return level, true
		}
	}
	if p.c.Text != "" {
		if s, ok := e.Get(p.c.Text); ok {
			return inText(s)
		}
	}
	return 0, false
}

// level reads a word or a number.
func (p *Processor) level(s string) (int, bool) {
	s = strings.Trim(s, " \t[]<>():")
	if own, ok := p.c.Map[s]; ok {
		s = own
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return p.table(n)
	}
	if len(s) > 20 {
		return 0, false
	}
	level, ok := words[strings.ToLower(s)]
	if !ok {
		return between(s)
	}
	return level, ok
}

// between reads the levels that slog has between those with names, such as DEBUG-4 and INFO+2.
func between(s string) (int, bool) {
	i := strings.IndexAny(s, "+-")
	if i < 0 {
		return 0, false
	}
	base, ok := map[string]int{"DEBUG": -4, "INFO": 0, "WARN": 4, "ERROR": 8}[s[:i]]
	n, err := strconv.Atoi(s[i:])
	if !ok || err != nil {
		return 0, false
	}
	switch n += base; {
	case n < -4:
		return 8, true
	case n < 0:
		return 7, true
	case n == 0:
		return 6, true
	case n < 4:
		return 5, true
	case n < 8:
		return 4, true
	case n < 12:
		return 3, true
	}
	return 2, true
}

// inText looks for a level at the head of a text: the priority of syslog, the letter of klog, or a word of capital letters, or one
// after level=, within the first 120 bytes.
func inText(s string) (int, bool) {
	if strings.HasPrefix(s, "<") {
		if n, err := strconv.Atoi(s[1:max(1, min(len(s), 5, 1+strings.IndexByte(s[1:], '>')))]); err == nil && n < 192 {
			return n & 7, true
		}
	}
	if len(s) > 6 && s[5] == ' ' && strings.Trim(s[1:5], "0123456789") == "" {
		if i := strings.IndexByte("IWEF", s[0]); i >= 0 {
			return [...]int{6, 4, 3, 2}[i], true
		}
	}
	head := s[:min(len(s), 120)]
	if _, rest, ok := strings.Cut(head, "level="); ok {
		rest = strings.TrimPrefix(rest, `"`)
		end := 0
		for end < len(rest) && letter(rest[end]) {
			end++
		}
		if level, ok := words[strings.ToLower(rest[:end])]; ok {
			return level, true
		}
	}
	for i := 0; i < len(head); {
		if !letter(head[i]) {
			i++
			continue
		}
		from := i
		for i < len(head) && letter(head[i]) {
			i++
		}
		word := head[from:i]
		if len(word) < 3 || len(word) > 12 || word != strings.ToUpper(word) {
			continue
		}
		if level, ok := words[strings.ToLower(word)]; ok && word != "OFF" && word != "ALL" && word != "LOG" && word != "SYSTEM" && word != "CONFIG" && word != "NOTE" {
			return level, true
		}
	}
	return 0, false
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func (p *Processor) String() string { return fmt.Sprintf("severity=%v", []string(p.c.Fields)) }
