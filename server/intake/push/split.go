package push

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/tallylog/tally/server/intake"
)

// splitter cuts a body into the texts of its events: the lines of NDJSON, or the elements of one JSON array. It does not
// check that they are valid JSON.
type splitter struct {
	in    *bufio.Reader
	max   int
	buf   []byte
	array bool
	ended bool
	first bool
	line  int // physical line of NDJSON, or element of the array, from 1
}

func newSplitter(in io.Reader, max int) *splitter {
	return &splitter{in: bufio.NewReaderSize(in, 64<<10), max: max, first: true}
}

// next returns the next event's text, valid until the next call, and its number. At the end err is io.EOF. With intake.ErrTooLong
// the element was skipped and the next call goes on behind it.
func (s *splitter) next() (text []byte, line int, err error) {
	if s.first {
		s.first = false
		c, err := s.peekText()
		if err != nil {
			return nil, 0, err
		}
		if c == '[' {
			s.array, s.line = true, 0
			_, _ = s.in.Discard(1)
		}
	}
	if s.array {
		text, err = s.element()
	} else {
		text, err = s.nextLine()
	}
	return text, s.line, err
}

func (s *splitter) nextLine() ([]byte, error) {
	for {
		s.line++
		var err error
		if s.buf, err = intake.ReadLine(s.in, s.buf[:0], s.max); err != nil {
			return nil, err
		}
		if text := bytes.TrimSpace(s.buf); len(text) > 0 {
			return text, nil
		}
	}
}

// peekText skips white space and returns the byte behind it.
func (s *splitter) peekText() (byte, error) {
	for {
		b, err := s.in.Peek(1)
		if err != nil {
			return 0, err
		}
		switch b[0] {
		case ' ', '\t', '\r', '\n':
			if b[0] == '\n' && !s.array {
				s.line++
			}
			_, _ = s.in.Discard(1)
		case 0xEF: // a byte order mark
			if bom, _ := s.in.Peek(3); string(bom) == "\uFEFF" {
				_, _ = s.in.Discard(3)
				continue
			}
			return b[0], nil
		default:
			return b[0], nil
		}
	}
}

var errArray = errors.New("the JSON array is not well-formed")

// element reads one element of the array and the comma or bracket behind it.
func (s *splitter) element() ([]byte, error) {
	if s.ended {
		if c, err := s.peekText(); err == nil {
			return nil, fmt.Errorf("%w: %q behind its end", errArray, c)
		}
		return nil, io.EOF
	}
	c, err := s.peekText()
	if err != nil {
		return nil, fmt.Errorf("%w: it ends early", errArray)
	}
	if c == ']' && s.line == 0 {
		_, _ = s.in.Discard(1)
		s.ended = true
		return s.element()
	}
	s.line++
	s.buf = s.buf[:0]
	depth, inString, escaped, tooLong := 0, false, false, false
	for {
		c, err := s.in.ReadByte()
		if err == io.EOF {
			return nil, fmt.Errorf("%w: it ends early", errArray)
		}
		if err != nil {
			return nil, err
		}
		switch {
		case escaped:
			escaped = false
		case inString:
			escaped, inString = c == '\\', c != '"'
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			depth++
		case depth == 0 && (c == ',' || c == ']'):
			s.ended = c == ']'
			if tooLong {
				return nil, intake.ErrTooLong
			}
			return bytes.TrimSpace(s.buf), nil
		case c == '}' || c == ']':
			depth--
		}
		if tooLong = tooLong || len(s.buf) >= s.max; !tooLong {
			s.buf = append(s.buf, c)
		}
	}
}
