package loki

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxLabels bounds the text of a stream's labels, in bytes.
const maxLabels = 64 << 10

var errLabels = errors.New(`not of the form {name="value", …}`)

// parseLabels reads the labels of a stream, {name="value", name="value"}, and calls f for each. A name is a word as in Prometheus
// ([a-zA-Z_][a-zA-Z0-9_]*) or a quoted text; a value is quoted as in Go, with " or with backquotes.
func parseLabels(s string, f func(name, value string)) error {
	if len(s) > maxLabels {
		return fmt.Errorf("more than %d bytes", maxLabels)
	}
	s, ok := strings.CutPrefix(strings.TrimSpace(s), "{")
	if !ok {
		return errLabels
	}
	s, ok = strings.CutSuffix(s, "}")
	if !ok {
		return errLabels
	}
	for s = space(s); s != ""; {
		name, rest, err := labelName(s)
		if err != nil {
			return err
		}
		rest, ok := strings.CutPrefix(space(rest), "=")
		if !ok {
			return errLabels
		}
		value, rest, err := quoted(space(rest))
		if err != nil {
			return err
		}
		f(name, value)
		if rest = space(rest); rest == "" {
			break
		}
		if s, ok = strings.CutPrefix(rest, ","); !ok {
			return errLabels
		}
		s = space(s)
	}
	return nil
}

func space(s string) string { return strings.TrimLeft(s, " \t\r\n") }

func labelName(s string) (name, rest string, err error) {
	if s[0] == '"' {
		name, rest, err = quoted(s)
		if err == nil && (name == "" || !utf8.ValidString(name)) {
			err = errLabels
		}
		return name, rest, err
	}
	n := 0
	for n < len(s) && (s[n] == '_' || s[n]|0x20 >= 'a' && s[n]|0x20 <= 'z' || n > 0 && s[n] >= '0' && s[n] <= '9') {
		n++
	}
	if n == 0 {
		return "", "", errLabels
	}
	return s[:n], s[n:], nil
}

func quoted(s string) (text, rest string, err error) {
	q, err := strconv.QuotedPrefix(s)
	if err != nil || q[0] == '\'' {
		return "", "", errLabels
	}
	if text, err = strconv.Unquote(q); err != nil {
		return "", "", errLabels
	}
	return text, s[len(q):], nil
}
