package intake

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/tallylog/tally/server/answer"
)

// Body is a request body held as it came, proven to be whole and within the limits.
type Body struct {
	raw      []byte
	inflated int64
	open     func([]byte) (io.ReadCloser, error)
}

// Body takes the body in and, where it is compressed, inflates it once to see that it is sound and how large it is: nothing
// of a broken or oversized body is stored. Its refusals are *answer.Error: 415 for an unknown Content-Encoding, 413 over a
// limit, 400 for a body that is cut or broken.
func (q *Request) Body() (*Body, error) {
	l := q.gate.Limits
	open, err := opener(q.r.Header.Get("Content-Encoding"))
	if err != nil {
		return nil, err
	}
	tooLarge := answer.Errorf(http.StatusRequestEntityTooLarge, "too_large", "the body is larger than %d bytes, or %d when decompressed; send it in parts", l.Body, l.Inflated)
	if q.r.ContentLength > l.Body {
		return nil, tooLarge
	}
	in := http.MaxBytesReader(q.w, q.r.Body, l.Body)
	var buf bytes.Buffer
	// A client that announces much and sends little must not hold much.
	for step := int64(firstStep); ; step = min(2*step, readStep) {
		if err := q.Grow(step); err != nil {
			return nil, err
		}
		_, err := io.CopyN(&buf, in, step)
		if err == io.EOF {
			break
		}
		var max *http.MaxBytesError
		if errors.As(err, &max) {
			return nil, tooLarge
		}
		if err != nil {
			return nil, answer.Errorf(http.StatusBadRequest, "body", "the body ends early: %v", err)
		}
	}
	b := &Body{raw: buf.Bytes(), inflated: int64(buf.Len()), open: open}
	if open == nil {
		return b, nil
	}
	z, err := open(b.raw)
	if err != nil {
		return nil, broken(err)
	}
	defer z.Close()
	b.inflated, err = io.Copy(io.Discard, io.LimitReader(z, l.Inflated+1))
	if err != nil {
		return nil, broken(err)
	}
	if b.inflated > l.Inflated {
		return nil, tooLarge
	}
	return b, nil
}

// The budget is taken in steps that grow from the first to the second.
const (
	firstStep = 8 << 10
	readStep  = 256 << 10
)

func broken(err error) error {
	return answer.Errorf(http.StatusBadRequest, "encoding", "the body is not what its Content-Encoding says: %v", err)
}

// Reader gives the decompressed body from its beginning.
func (b *Body) Reader() (io.ReadCloser, error) {
	if b.open == nil {
		return io.NopCloser(bytes.NewReader(b.raw)), nil
	}
	z, err := b.open(b.raw)
	if err != nil {
		return nil, broken(err)
	}
	return z, nil
}

// Whole gives the decompressed body in one piece, 413 when that is over MaxWhole. The memory counts as q's.
func (q *Request) Whole(b *Body) ([]byte, error) {
	if b.open == nil {
		return b.raw, q.whole(b.inflated)
	}
	if err := q.GrowWhole(b.inflated); err != nil {
		return nil, err
	}
	z, err := b.Reader()
	if err != nil {
		return nil, err
	}
	defer z.Close()
	out := make([]byte, b.inflated)
	if _, err := io.ReadFull(z, out); err != nil {
		return nil, broken(err)
	}
	return out, nil
}

// GrowWhole takes n bytes of the budget for a body decompressed in one piece, or refuses that with 413.
func (q *Request) GrowWhole(n int64) error {
	if err := q.whole(n); err != nil {
		return err
	}
	return q.Grow(n)
}

func (q *Request) whole(n int64) error {
	if max := min(MaxWhole, q.gate.Limits.Inflated); n > max {
		return answer.Errorf(http.StatusRequestEntityTooLarge, "too_large", "the body has %d bytes when decompressed, more than the %d of this protocol; send it in parts", n, max)
	}
	return nil
}

func opener(encoding string) (func([]byte) (io.ReadCloser, error), error) {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		return nil, nil
	case "gzip":
		return func(b []byte) (io.ReadCloser, error) { return gzip.NewReader(bytes.NewReader(b)) }, nil
	case "zstd":
		return func(b []byte) (io.ReadCloser, error) {
			d, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
			if err != nil {
				return nil, err
			}
			return d.IOReadCloser(), nil
		}, nil
	}
	return nil, answer.Errorf(http.StatusUnsupportedMediaType, "encoding", "Content-Encoding %.40q is not known; use gzip, zstd, or none", encoding)
}
