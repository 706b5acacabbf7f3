package query

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tallylog/tally/event"
)

// logstorage keeps a column whose values all look like numbers, IPv4 addresses or times in binary, and prints it back in
// its own way: 0.57 comes back as 0.5700000000000001, 1.0 as 1, 1_000 as 1000, 010.0.0.1 as 10.0.0.1, and
// 2024-01-01 00:00:00.000Z with a T. A value that would not come back as it was gets a mark at its end, which keeps its
// column text.

// markRune is a Unicode noncharacter: no text that is meant for exchange holds it. Mark is the same as text.
const (
	markRune = '\uFDD1'
	Mark     = "\uFDD1"
)

// StoreValue returns the value as the embedded store keeps it: with Mark at its end where logstorage would change it. A
// mark inside the value becomes U+FFFD, like anything else that is no character.
func StoreValue(value string) string {
	value = cleanValue(value)
	if changes(value) {
		return value + Mark
	}
	return value
}

// FieldValue is the inverse of StoreValue.
func FieldValue(stored string) string { return strings.TrimSuffix(stored, Mark) }

func cleanValue(value string) string {
	if strings.Contains(value, Mark) {
		return strings.ReplaceAll(value, Mark, "\uFFFD")
	}
	return value
}

// changes tells whether logstorage may print the value in another way than it came (values_encoder.go there). It may say
// yes too often, which only costs the binary column.
func changes(v string) bool {
	if v == "" || len(v) > 27 || v[0] != '-' && v[0] != '_' && (v[0] < '0' || v[0] > '9') {
		return false
	}
	switch {
	case strings.Trim(v, "-_0123456789.") == "":
		if strings.Count(v, ".") == 3 {
			return changesAddress(v)
		}
		return changesNumber(v)
	case len(v) == len("2006-01-02T15:04:05.000Z") && v[4] == '-' && v[23] == 'Z':
		t, err := time.Parse("2006-01-02T15:04:05.000Z", v)
		return err != nil || t.Format("2006-01-02T15:04:05.000Z") != v
	case len(v) <= len("255.255.255.255") && strings.Count(v, ".") == 3:
		return changesAddress(v)
	}
	return false
}

func changesAddress(v string) bool {
	a, err := netip.ParseAddr(v)
	return err != nil || a.String() != v
}

// changesNumber is for values of digits, minus, point and underscore.
func changesNumber(v string) bool {
	if strings.Contains(v, "_") || v == "-0" {
		return true
	}
	whole, fraction, point := strings.Cut(strings.TrimPrefix(v, "-"), ".")
	if !point || !digits(whole) || !digits(fraction) || len(whole) > 1 && whole[0] == '0' {
		return false // an integer comes back as it was, and what has leading zeros or more signs is not read as a number
	}
	n, err1 := strconv.ParseUint(whole, 10, 64)
	m, err2 := strconv.ParseUint(fraction, 10, 64)
	if err1 != nil || err2 != nil {
		return true
	}
	f := math.FMA(float64(m), math.Pow10(-len(fraction)), float64(n)) // the sum that logstorage makes
	return strconv.FormatFloat(f, 'f', -1, 64) != strings.TrimPrefix(v, "-")
}

// GlueField is the hidden field that LogsQLIndexed relies on. A row whose event has an empty Glue does not have it.
const GlueField = "_glue"

// maxGlue bounds the hidden field, in bytes. gluedTooMuch stands for a longer one.
const (
	maxGlue      = 16 << 10
	gluedTooMuch = "*"
)

// Glue returns the words of an event that the index of the embedded store cannot find, because they touch Han, Kana or
// Hangul characters (or U+FFFD) without a space: logstorage takes 错误abc for one word, and so does its index. The words
// each have a space before them (so that the column is text); it is empty for most events, and "*" when there would be
// too many.
func Glue(ev *event.Event) string {
	var b []byte
	for i := range ev.Fields {
		if v := ev.Fields[i].Value; ascii(v) {
			continue // nearly all, and no word of theirs touches anything
		} else if b = appendGlue(b, v); len(b) > maxGlue {
			return gluedTooMuch
		}
	}
	return string(b)
}

// ascii looks at eight bytes at a time.
func ascii(s string) bool {
	for len(s) >= 8 {
		if (s[0]|s[1]|s[2]|s[3]|s[4]|s[5]|s[6]|s[7])&0x80 != 0 {
			return false
		}
		s = s[8:]
	}
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func appendGlue(b []byte, s string) []byte {
	glueBefore, start := false, -1
	for at := 0; at <= len(s); {
		r, n := rune(' '), 1 // as if a delimiter stood behind the text
		if at < len(s) {
			if r = rune(s[at]); r >= utf8.RuneSelf {
				r, n = utf8.DecodeRuneInString(s[at:])
			}
		}
		if wordRune(r) {
			if start < 0 {
				start = at
			}
		} else {
			glues := r >= utf8.RuneSelf && (r == utf8.RuneError || ownWord(r))
			if start >= 0 && (glueBefore || glues) {
				b = append(append(b, ' '), s[start:at]...)
			}
			glueBefore, start = glues, -1
		}
		at += n
		if len(b) > maxGlue {
			return b
		}
	}
	return b
}
