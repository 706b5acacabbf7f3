package intake

import (
	"bufio"
	"errors"
	"io"
)

// ErrTooLong marks a line over the limit; it has been skipped.
var ErrTooLong = errors.New("too_long")

// ReadLine appends the next line, with its newline where it has one, to buf and returns that. A line of more than max bytes
// is skipped without being held, with ErrTooLong. At the end the error is io.EOF.
func ReadLine(in *bufio.Reader, buf []byte, max int) ([]byte, error) {
	start := len(buf)
	tooLong := false
	for {
		part, err := in.ReadSlice('\n')
		if tooLong = tooLong || len(buf)-start+len(part) > max; !tooLong {
			buf = append(buf, part...)
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		if err != nil && (err != io.EOF || len(part) == 0 && len(buf) == start && !tooLong) {
			return buf, err
		}
		if tooLong {
			return buf[:start], ErrTooLong
		}
		return buf, nil
	}
}
