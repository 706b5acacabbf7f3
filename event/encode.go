package event

import (
	"unicode/utf8"
	"unsafe"
)

// unsafeString gives the bytes of an arena that is only ever appended to.
func unsafeString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

const hexDigits = "0123456789abcdef"

// AppendQuoted appends s as a JSON string (RFC 8259). Invalid UTF-8 becomes U+FFFD.
func AppendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			b = append(b, s[start:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\n':
				b = append(b, '\\', 'n')
			case '\r':
				b = append(b, '\\', 'r')
			case '\t':
				b = append(b, '\\', 't')
			default:
				b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			start = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b = append(b, s[start:i]...)
			b = append(b, "\uFFFD"...)
			start = i + 1
		case r == '\u2028' || r == '\u2029': // line ends to some readers of server-sent events and JavaScript
			b = append(b, s[start:i]...)
			b = append(b, '\\', 'u', '2', '0', '2', hexDigits[r&15])
			start = i + n
		}
		i += n
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

// AppendJSON appends the event as one flat JSON object, every value as text: _id, @timestamp and message first, always
// there. This is the shape of every event that the API gives out. keep, when not nil, chooses among the other fields.
func (e *Event) AppendJSON(b []byte, keep func(name string) bool) []byte {
	b = append(b, `{"_id":`...)
	b = AppendQuoted(b, e.ID)
	b = append(b, `,"@timestamp":"`...)
	b = AppendTime(b, e.Time)
	b = append(b, `","message":`...)
	msg, _ := e.Get(Message)
	b = AppendQuoted(b, msg)
	for _, f := range e.Fields {
		if f.Name == Message || keep != nil && !keep(f.Name) {
			continue
		}
		b = append(b, ',')
		b = AppendQuoted(b, f.Name)
		b = append(b, ':')
		b = AppendQuoted(b, f.Value)
	}
	return append(b, '}')
}
