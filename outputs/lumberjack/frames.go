package lumberjack

import (
	"encoding/binary"
	"fmt"

	"github.com/elastic/go-lumber/protocol/v2"
	"github.com/klauspost/compress/zlib"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/publisher"

	"github.com/tallylog/tally/outputs/beatjson"
	"github.com/tallylog/tally/outputs/bundle"
)

// maxWindow ends a window early, in bytes of frames before compression: a peer must hold a window until it is whole. chunk is
// how much JSON is built before it is compressed, small enough to stay in the processor's cache.
const (
	maxWindow = 16 << 20
	chunk     = 64 << 10
)

// packer builds windows in buffers that it keeps.
type packer struct {
	json *beatjson.Encoder
	zip  *zlib.Writer // nil for no compression
	raw  []byte       // frames not compressed yet
	out  buffer       // the window as it goes over the wire
}

type buffer []byte

func (b *buffer) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}

func newPacker(c *config, info beat.Info) (*packer, error) {
	p := &packer{json: beatjson.New(c.Index, info.Version, c.EscapeHTML)}
	if c.CompressionLevel > 0 {
		var err error
		if p.zip, err = zlib.NewWriterLevel(&p.out, c.CompressionLevel); err != nil {
			return nil, fmt.Errorf("cannot compress at level %d: %w", c.CompressionLevel, err)
		}
	}
	return p, nil
}

// header is a window frame, and that of a compressed frame behind it.
const windowHeader, zipHeader = 6, 6

// window packs the first lines of events, at most limit, as many as fit, and returns their number and the bytes to send, valid until
// the next call.
func (p *packer) window(events []publisher.Event, limit int) (n int, wire []byte, err error) {
	p.out = append(p.out[:0], v2.CodeVersion, v2.CodeWindowSize, 0, 0, 0, 0)
	if p.zip != nil {
		p.out = append(p.out, v2.CodeVersion, v2.CodeCompressed, 0, 0, 0, 0)
		p.zip.Reset(&p.out)
	}
	p.raw = p.raw[:0]
	of := &events[0].Content
	group, line := bundle.Of(of), 0
	for total := 0; len(events) > 0 && n < limit && total < maxWindow; n++ {
		start := len(p.raw)
		p.raw = append(p.raw, v2.CodeVersion, v2.CodeJSONDataFrame, 0, 0, 0, 0, 0, 0, 0, 0)
		if group != nil {
			p.raw = p.json.AppendLine(p.raw, of, group, line)
			line++
		} else {
			p.raw = p.json.Append(p.raw, of)
		}
		if group == nil || line == len(group.Lines) {
			if events = events[1:]; len(events) > 0 {
				of = &events[0].Content
				group, line = bundle.Of(of), 0
			}
		}
		frame := p.raw[start:]
		binary.BigEndian.PutUint32(frame[2:], uint32(n)+1)
		binary.BigEndian.PutUint32(frame[6:], uint32(len(frame)-10))
		total += len(frame)
		if len(p.raw) >= chunk {
			if err := p.flush(); err != nil {
				return 0, nil, err
			}
		}
	}
	if err := p.flush(); err != nil {
		return 0, nil, err
	}
	if p.zip != nil {
		if err := p.zip.Close(); err != nil {
			return 0, nil, fmt.Errorf("cannot compress a window: %w", err)
		}
		binary.BigEndian.PutUint32(p.out[windowHeader+2:], uint32(len(p.out)-windowHeader-zipHeader))
	}
	binary.BigEndian.PutUint32(p.out[2:], uint32(n))
	wire = p.out
	// A giant event must not be paid for ever after.
	if cap(p.raw) > maxWindow/4 {
		p.raw = nil
	}
	if cap(p.out) > maxWindow {
		p.out = nil
	}
	return n, wire, nil
}

func (p *packer) flush() error {
	if p.zip == nil {
		p.out = append(p.out, p.raw...)
	} else if _, err := p.zip.Write(p.raw); err != nil {
		return fmt.Errorf("cannot compress a window: %w", err)
	}
	p.raw = p.raw[:0]
	return nil
}
