package lumberjack

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/elastic/go-lumber/protocol/v2"
	"github.com/klauspost/compress/zlib"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/intake"
)

// Limits of a window. A client beyond them is cut off.
type Limits struct {
	// Events in one window. Stock clients send at most bulk_max_size, 2048 by default.
	Events int
	// Bytes of one window, decompressed.
	Bytes int64
	// EventBytes of one JSON document.
	EventBytes int64
}

// DefaultLimits are far above what stock clients send by default: 2048 events, lines of at most 10 MiB.
var DefaultLimits = Limits{Events: 1 << 17, Bytes: 256 << 20, EventBytes: 64 << 20}

var (
	errProtocol = errors.New("not Lumberjack v2")
	errLimit    = errors.New("over the limit")
)

// codeV1 is the first byte of every frame of version 1, which Logstash dropped as well.
const codeV1 = '1'

// window is one decoded window: its size for the acknowledgement, and its events.
type window struct {
	count    int
	events   []event.Event
	controls bool // some of events are control records
	share    *intake.Share
}

// decoders and inflaters are expensive to make and idle on most connections: they are shared.
var (
	decoders  = sync.Pool{New: func() any { return new(event.Decoder) }}
	inflaters sync.Pool
	buffered  = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 32<<10) }}
)

// frameReader reads windows from one connection.
type frameReader struct {
	in     *bufio.Reader
	limits Limits
	budget *intake.Budget
	// progress is called whenever bytes are about to be waited for: it moves the read deadline.
	progress func(idle bool)
	// begins is called when the first bytes of a window are there, and may wait; nil for nothing.
	begins func() error
	// refused is called for an event that cannot be parsed; it returns what is kept of it.
	refused func(raw []byte, err error) event.Event
}

// next reads one window. An empty window (count 0) is a stock client's probe and is skipped.
func (r *frameReader) next(ctx context.Context) (*window, error) {
	var count uint32
	for count == 0 {
		r.progress(true)
		kind, err := r.header(r.in)
		if err != nil {
			return nil, err
		}
		if kind != v2.CodeWindowSize {
			return nil, fmt.Errorf("%w: frame %q where a window begins", errProtocol, kind)
		}
		if r.begins != nil {
			if err := r.begins(); err != nil {
				return nil, err
			}
		}
		if count, err = readUint32(r.in); err != nil {
			return nil, unexpected(err)
		}
	}
	if int64(count) > int64(r.limits.Events) {
		return nil, fmt.Errorf("window of %d events: %w %d", count, errLimit, r.limits.Events)
	}
	w := &window{count: int(count), share: r.budget.Share()}
	if err := r.fill(ctx, w); err != nil {
		w.share.Release()
		return nil, unexpected(err)
	}
	return w, nil
}

func (r *frameReader) fill(ctx context.Context, w *window) error {
	left := r.limits.Bytes
	for len(w.events) < w.count {
		r.progress(false)
		kind, err := r.header(r.in)
		if err != nil {
			return err
		}
		switch kind {
		case v2.CodeJSONDataFrame:
			err = r.event(ctx, r.in, w, &left, r.take)
		case v2.CodeCompressed:
			err = r.compressed(ctx, w, &left)
		default:
			err = fmt.Errorf("%w: unknown frame %q", errProtocol, kind)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// header reads version and kind of a frame. io.EOF before the first byte is a client that went away.
func (r *frameReader) header(in *bufio.Reader) (byte, error) {
	h, err := in.Peek(2)
	if err != nil {
		if len(h) > 0 {
			err = unexpected(err)
		}
		return 0, err
	}
	defer in.Discard(2)
	switch h[0] {
	case v2.CodeVersion:
		return h[1], nil
	case codeV1:
		return 0, fmt.Errorf("%w: this is version 1 (logstash-forwarder, or a Beat older than 1.0); version 2 is needed", errProtocol)
	}
	return 0, fmt.Errorf("%w: it begins with byte 0x%02x", errProtocol, h[0])
}

// taker reads size bytes that nobody else holds until the next call.
type taker func(ctx context.Context, in io.Reader, size int64, share *intake.Share) ([]byte, error)

func (r *frameReader) event(ctx context.Context, in *bufio.Reader, w *window, left *int64, take taker) error {
	h, err := in.Peek(8) // sequence, length
	if err != nil {
		return unexpected(err)
	}
	size := int64(binary.BigEndian.Uint32(h[4:]))
	_, _ = in.Discard(8)
	if size > r.limits.EventBytes || size > *left {
		return fmt.Errorf("event of %d bytes: %w", size, errLimit)
	}
	*left -= size
	raw, err := take(ctx, in, size, w.share)
	if err != nil {
		return err
	}
	if err := w.share.Grow(ctx, size); err != nil { // for the fields, which are copies
		return err
	}
	d := decoders.Get().(*event.Decoder)
	e, err := d.Decode(raw)
	decoders.Put(d)
	if err != nil {
		e = r.refused(raw, err)
	}
	w.controls = w.controls || e.Control != nil
	w.events = append(w.events, e)
	return nil
}

// compressed takes a whole frame of zlib before it inflates it, so that a slow client holds no more than it has sent.
func (r *frameReader) compressed(ctx context.Context, w *window, left *int64) error {
	n, err := readUint32(r.in)
	if err != nil {
		return err
	}
	size := int64(n)
	if size > r.limits.Bytes {
		return fmt.Errorf("compressed frame of %d bytes: %w", size, errLimit)
	}
	packed, err := r.take(ctx, r.in, size, w.share)
	if err != nil {
		return err
	}
	z, err := inflater(bytes.NewReader(packed))
	if err != nil {
		return fmt.Errorf("%w: compressed frame: %w", errProtocol, err)
	}
	defer inflaters.Put(z)
	in := buffered.Get().(*bufio.Reader)
	in.Reset(z)
	defer buffered.Put(in)
	var scratch []byte
	local := func(_ context.Context, in io.Reader, size int64, _ *intake.Share) ([]byte, error) {
		if size > int64(cap(scratch)) {
			scratch = make([]byte, size+size/4)
		}
		_, err := io.ReadFull(in, scratch[:size])
		return scratch[:size], err
	}
	for {
		kind, err := r.header(in)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("compressed frame: %w", err)
		}
		if kind != v2.CodeJSONDataFrame || len(w.events) == w.count {
			return fmt.Errorf("%w: frame %q within a compressed one", errProtocol, kind)
		}
		if err := r.event(ctx, in, w, left, local); err != nil {
			return fmt.Errorf("compressed frame: %w", err)
		}
	}
}

// inflater resets a used zlib reader, or makes one.
func inflater(src io.Reader) (io.ReadCloser, error) {
	z, _ := inflaters.Get().(io.ReadCloser)
	if z == nil {
		return zlib.NewReader(src)
	}
	return z, z.(zlib.Resetter).Reset(src, nil)
}

// freely is what a frame may take without asking the budget: a client that announces much and sends little must not hold
// what others need.
const freely = 64 << 10

// take reads size bytes from the network, growing with what really arrives.
func (r *frameReader) take(ctx context.Context, in io.Reader, size int64, share *intake.Share) ([]byte, error) {
	var b bytes.Buffer
	for int64(b.Len()) < size {
		r.progress(false)
		step := min(freely, size-int64(b.Len()))
		if b.Len() > 0 {
			if err := share.Grow(ctx, step); err != nil {
				return nil, err
			}
		} else if step <= 4<<10 {
			b.Grow(int(step))
		}
		if _, err := io.CopyN(&b, in, step); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

func readUint32(in io.Reader) (uint32, error) {
	var b [4]byte
	_, err := io.ReadFull(in, b[:])
	return binary.BigEndian.Uint32(b[:]), err
}

// unexpected turns the end of the stream within a window into an error of its own.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
