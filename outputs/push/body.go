package push

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/publisher"

	"github.com/tallylog/tally/outputs/beatjson"
)

// maxBody ends a request early, in bytes before compression; chunk is how much is compressed at once.
const (
	maxBody = 16 << 20
	chunk   = 64 << 10
)

// body builds requests in buffers that it keeps.
type body struct {
	encoding string // Content-Encoding; empty for none
	json     *beatjson.Encoder
	zip      interface { // nil for none
		io.WriteCloser
		Reset(io.Writer)
	}
	raw []byte
	out bytes.Buffer
}

func newBody(info beat.Info, compression string) (*body, error) {
	b := &body{json: beatjson.New(info.IndexPrefix, info.Version, false)}
	switch compression {
	case "zstd":
		z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithZeroFrames(true))
		if err != nil {
			return nil, fmt.Errorf("cannot compress with zstd: %w", err)
		}
		b.encoding, b.zip = "zstd", z
	case "gzip":
		b.encoding, b.zip = "gzip", gzip.NewWriter(nil)
	}
	return b, nil
}

// lines packs the first events, at most limit and as many as fit, one a line, and returns their number and the bytes to send,
// valid until the next call.
func (b *body) lines(events []publisher.Event, limit int) (n int, text []byte, err error) {
	b.out.Reset()
	if b.zip != nil {
		b.zip.Reset(&b.out)
	}
	b.raw = b.raw[:0]
	for total := 0; n < min(limit, len(events)) && total < maxBody; n++ {
		start := len(b.raw)
		b.raw = append(b.json.Append(b.raw, &events[n].Content), '\n')
		total += len(b.raw) - start
		if len(b.raw) >= chunk {
			if err := b.flush(); err != nil {
				return 0, nil, err
			}
		}
	}
	if err := b.flush(); err != nil {
		return 0, nil, err
	}
	if b.zip != nil {
		if err := b.zip.Close(); err != nil {
			return 0, nil, fmt.Errorf("cannot compress a request: %w", err)
		}
	}
	if cap(b.raw) > maxBody/4 {
		b.raw = nil
	}
	return n, b.out.Bytes(), nil
}

func (b *body) flush() error {
	var err error
	if b.zip != nil {
		_, err = b.zip.Write(b.raw)
	} else {
		_, err = b.out.Write(b.raw)
	}
	if err != nil {
		return fmt.Errorf("cannot compress a request: %w", err)
	}
	b.raw = b.raw[:0]
	return nil
}
