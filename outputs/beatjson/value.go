package beatjson

import (
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/elastic/beats/v7/libbeat/common"
)

// value appends v, or reports that its type is not known here. The cases are the types that libbeat's event normalization
// leaves, and what inputs and processors put into events.
func (e *Encoder) value(dst []byte, v interface{}, child **shape, depth int) ([]byte, bool) {
	switch v := v.(type) {
	case string:
		return e.text(dst, v), true
	case common.MapStr:
		return e.object(dst, v, child, depth)
	case map[string]interface{}:
		return e.object(dst, v, child, depth)
	case nil:
		return append(dst, "null"...), true
	case bool:
		return strconv.AppendBool(dst, v), true
	case int:
		return strconv.AppendInt(dst, int64(v), 10), true
	case int64:
		return strconv.AppendInt(dst, v, 10), true
	case int32:
		return strconv.AppendInt(dst, int64(v), 10), true
	case int16:
		return strconv.AppendInt(dst, int64(v), 10), true
	case int8:
		return strconv.AppendInt(dst, int64(v), 10), true
	case uint:
		return strconv.AppendUint(dst, uint64(v), 10), true
	case uint64:
		return strconv.AppendUint(dst, v, 10), true
	case uint32:
		return strconv.AppendUint(dst, uint64(v), 10), true
	case uint16:
		return strconv.AppendUint(dst, uint64(v), 10), true
	case uint8:
		return strconv.AppendUint(dst, uint64(v), 10), true
	case float64:
		return appendFloat(dst, v, 64), true
	case float32:
		return appendFloat(dst, float64(v), 32), true
	case time.Time:
		return appendTime(dst, v)
	case common.Time:
		return appendTime(dst, time.Time(v))
	case []string:
		dst = append(dst, '[')
		for i, s := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = e.text(dst, s)
		}
		return append(dst, ']'), true
	case []interface{}:
		return list(e, dst, v, depth)
	case []common.MapStr:
		return list(e, dst, v, depth)
	case []map[string]interface{}:
		return list(e, dst, v, depth)
	}
	return dst, false
}

func list[T any](e *Encoder, dst []byte, in []T, depth int) ([]byte, bool) {
	dst = append(dst, '[')
	for i := range in {
		if i > 0 {
			dst = append(dst, ',')
		}
		var ok bool
		if dst, ok = e.value(dst, in[i], nil, depth+1); !ok {
			return dst, false
		}
	}
	return append(dst, ']'), true
}

// appendFloat writes what JSON has no word for as null, as libbeat's codec does.
func appendFloat(dst []byte, f float64, bits int) []byte {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return append(dst, "null"...)
	}
	return strconv.AppendFloat(dst, f, 'g', -1, bits)
}

// appendTime writes RFC 3339 in UTC with milliseconds, cut and not rounded.
func appendTime(dst []byte, t time.Time) ([]byte, bool) {
	t = t.UTC()
	year, month, day := t.Date()
	if year < 1 || year > 9999 {
		return dst, false
	}
	hour, minute, second := t.Clock()
	ms := t.Nanosecond() / 1e6
	two := func(n int) (byte, byte) { return byte('0' + n/10), byte('0' + n%10) }
	y1, y2 := two(year / 100)
	y3, y4 := two(year % 100)
	m1, m2 := two(int(month))
	d1, d2 := two(day)
	h1, h2 := two(hour)
	i1, i2 := two(minute)
	s1, s2 := two(second)
	f2, f3 := two(ms % 100)
	return append(dst, '"', y1, y2, y3, y4, '-', m1, m2, '-', d1, d2, 'T', h1, h2, ':', i1, i2, ':', s1, s2, '.',
		byte('0'+ms/100), f2, f3, 'Z', '"'), true
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// plain reports how many bytes from the start of s, in steps of eight, need no look: ASCII without quotes, backslashes and
// control characters.
func plain(s string) int {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		x := uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
			uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
		quote, back := x^ones*'"', x^ones*'\\'
		// A byte b is below n where b-n borrows and b has no high bit itself.
		if (x|(x-ones*' ')|(quote-ones)|(back-ones))&highs != 0 {
			break
		}
	}
	return i
}

const hex = "0123456789abcdef"

// text appends a string in quotes. Bytes that are no UTF-8 become U+FFFD.
func (e *Encoder) text(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start, i := 0, 0
	if !e.escape {
		i = plain(s)
	}
	for i < len(s) {
		b := s[i]
		if b < utf8.RuneSelf {
			if b >= ' ' && b != '"' && b != '\\' && !(e.escape && (b == '<' || b == '>' || b == '&')) {
				i++
				continue
			}
			dst = append(dst, s[start:i]...)
			switch b {
			case '"', '\\':
				dst = append(dst, '\\', b)
			case '\n':
				dst = append(dst, '\\', 'n')
			case '\r':
				dst = append(dst, '\\', 'r')
			case '\t':
				dst = append(dst, '\\', 't')
			default:
				dst = append(dst, '\\', 'u', '0', '0', hex[b>>4], hex[b&15])
			}
			i++
			start = i
			if !e.escape {
				i += plain(s[i:])
			}
			continue
		}
		c, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case c == utf8.RuneError && size == 1:
			dst = append(append(dst, s[start:i]...), `\ufffd`...)
			start = i + 1
		case c == '\u2028' || c == '\u2029': // line ends to JavaScript
			dst = append(append(dst, s[start:i]...), '\\', 'u', '2', '0', '2', hex[c&15])
			start = i + size
		}
		i += size
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}
