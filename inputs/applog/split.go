package applog

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/elastic/beats/v7/libbeat/reader/readfile/encoding"
	xencoding "golang.org/x/text/encoding"
)

// span is a line within a buffer: the bytes of the event are [from, to), with the newline, and its text [from, text).
type span struct{ from, text, to int }

// format is how the bytes of a file become lines.
type format struct {
	codec xencoding.Encoding // nil for bytes that are taken as they are
	nl    []byte             // the newline in this encoding
	cr    []byte
	width int  // bytes of a code unit; newlines stand at multiples of it
	utf8  bool // codec only replaces what is no UTF-8
}

// newFormat makes the format of an encoding as Filebeat names it. UTF-16 looks for a byte order mark in the file.
func newFormat(name string, factory encoding.EncodingFactory, file io.ReaderAt) (format, error) {
	f := format{nl: []byte{'\n'}, cr: []byte{'\r'}, width: 1}
	switch name {
	case "", "plain", "nop":
		return f, nil
	}
	e, err := factory(io.NewSectionReader(file, 0, 1<<62))
	if err != nil {
		return f, err
	}
	nl, err := e.NewEncoder().Bytes([]byte("\n"))
	if err != nil {
		return f, err
	}
	cr, err := e.NewEncoder().Bytes([]byte("\r"))
	if err != nil {
		return f, err
	}
	if len(nl) == 4 { // UTF-16 with a byte order mark before it
		nl, cr = nl[2:], cr[2:]
	}
	f.codec, f.nl, f.cr, f.width = e, nl, cr, len(nl)
	switch strings.ToLower(name) {
	case "utf-8", "utf8", "unicode-1-1-utf-8":
		f.utf8 = true
	}
	return f, nil
}

// newline returns the end of the first line in b, or -1. at is the offset of b in the file.
func (f *format) newline(b []byte, at int64) int {
	if f.width == 1 {
		if i := bytes.IndexByte(b, f.nl[0]); i >= 0 {
			return i + 1
		}
		return -1
	}
	for i := 0; ; {
		j := bytes.Index(b[i:], f.nl)
		if j < 0 {
			return -1
		}
		i += j
		if (at+int64(i))%int64(f.width) == 0 {
			return i + len(f.nl)
		}
		i++
	}
}

// nuls returns the length of the run of zero code units that b begins with: a hole that a truncation left behind.
func (f *format) nuls(b []byte) int {
	i := 0
	for i < len(b) && b[i] == 0 {
		i++
	}
	return i - i%f.width
}

// split appends the lines of b that are complete, and returns how many bytes they and the blank lines and holes between them
// take. at is the offset of b in the file; cuts are offsets where a line was ended by time, in ascending order. A blank line
// gives no span.
func (f *format) split(b []byte, at int64, cuts []int64, out []span) ([]span, int) {
	pos := 0
	for pos < len(b) {
		for len(cuts) > 0 && cuts[0] <= at+int64(pos) {
			cuts = cuts[1:]
		}
		n := f.newline(b[pos:], at+int64(pos))
		if len(cuts) > 0 {
			if c := int(cuts[0] - at - int64(pos)); c <= len(b)-pos && (n < 0 || c < n) {
				n = c
			}
		}
		if n < 0 {
			break
		}
		if sp, ok := f.line(b, pos, pos+n); ok {
			out = append(out, sp)
		}
		pos += n
	}
	return out, pos
}

// line makes the span of b[from:to]; ok is false where there is nothing to ship.
func (f *format) line(b []byte, from, to int) (sp span, ok bool) {
	from += f.nuls(b[from:to])
	text := b[from:to]
	text = bytes.TrimSuffix(text, f.nl)
	text = bytes.TrimSuffix(text, f.cr)
	return span{from, from + len(text), to}, len(text) > 0
}

// cut shortens text to max bytes without tearing a character.
func (f *format) cut(text []byte, limit int) (short []byte, truncated bool) {
	if len(text) <= limit {
		return text, false
	}
	n := limit - limit%f.width
	if f.codec == nil || f.width == 1 {
		for i := n; i > 0 && i > n-utf8.UTFMax; i-- {
			if utf8.RuneStart(text[i]) {
				return text[:i], true
			}
		}
	}
	return text[:n], true
}

// mark is the byte order mark in UTF-8.
const mark = "\ufeff"

// plain says whether the lines in b can be taken as they are.
func (f *format) plain(b []byte) bool {
	return f.codec == nil || f.utf8 && utf8.Valid(b) && !bytes.HasPrefix(b, []byte(mark))
}

// decode returns text as UTF-8. The byte order mark at the beginning of a file is no text.
func (f *format) decode(text []byte) string {
	if f.codec == nil {
		return string(text)
	}
	out, err := f.codec.NewDecoder().Bytes(text)
	if err != nil {
		return string(text) // what cannot be decoded is kept as it is
	}
	return string(bytes.TrimPrefix(out, []byte(mark)))
}
