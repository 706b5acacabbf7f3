package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	libfile "github.com/elastic/beats/v7/libbeat/common/file"
	"github.com/elastic/beats/v7/libbeat/logp"
	"github.com/elastic/beats/v7/libbeat/outputs"
	"github.com/elastic/beats/v7/libbeat/outputs/codec"
	"github.com/elastic/beats/v7/libbeat/publisher"
	"github.com/elastic/beats/v7/libbeat/testing"

	"github.com/tallylog/tally/outputs/beatjson"
	"github.com/tallylog/tally/outputs/bundle"
)

// config has the options of libbeat's output.file, with its defaults. There rotate_on_startup is read but has no effect.
// backoff is ours: how long to wait after a failed write.
type config struct {
	Path            string             `config:"path"`
	Filename        string             `config:"filename"`
	Suffix          libfile.SuffixType `config:"suffix"`
	RotateEveryKb   uint               `config:"rotate_every_kb" validate:"min=1"`
	NumberOfFiles   uint               `config:"number_of_files"`
	Codec           codec.Config       `config:"codec"`
	Permissions     uint32             `config:"permissions"`
	RotateOnStartup bool               `config:"rotate_on_startup"`
	Backoff         struct {
		Init time.Duration `config:"init" validate:"nonzero,positive"`
		Max  time.Duration `config:"max"  validate:"nonzero,positive"`
	} `config:"backoff"`
}

// Validate refuses what libbeat's file output refuses.
func (c *config) Validate() error {
	if c.NumberOfFiles < 2 || c.NumberOfFiles > libfile.MaxBackupsLimit {
		return fmt.Errorf("the number_of_files to keep should be between 2 and %v", libfile.MaxBackupsLimit)
	}
	if fs.FileMode(c.Permissions) > fs.ModePerm {
		return fmt.Errorf("the permissions %o are no permissions of a file", c.Permissions)
	}
	return nil
}

func defaultConfig() config {
	c := config{Suffix: libfile.SuffixCount, NumberOfFiles: 7, RotateEveryKb: 10 << 10, Permissions: 0o600, RotateOnStartup: true}
	c.Backoff.Init, c.Backoff.Max = time.Second, 10*time.Second
	return c
}

var _ outputs.Factory = New

// New makes the one client of an output.file.
func New(_ outputs.IndexManager, info beat.Info, observer outputs.Observer, cfg *common.Config) (outputs.Group, error) {
	c := defaultConfig()
	if err := cfg.Unpack(&c); err != nil {
		return outputs.Fail(err)
	}
	// The pipeline shall not split its batches for a file.
	if err := cfg.SetInt("bulk_max_size", -1, -1); err != nil {
		return outputs.Fail(err)
	}
	encode, bundles, err := encoder(info, c.Codec)
	if err != nil {
		return outputs.Fail(err)
	}
	if c.Filename == "" {
		c.Filename = info.Beat
	}
	o := &output{log: logp.NewLogger("file"), observer: observer, encode: encode, bundles: bundles, file: rotated{
		path: filepath.Join(c.Path, c.Filename), dated: c.Suffix == libfile.SuffixDate, keep: int(c.NumberOfFiles),
		max: int64(c.RotateEveryKb) << 10, perm: fs.FileMode(c.Permissions), fresh: c.RotateOnStartup, open: openFile, now: time.Now,
	}}
	// No limit of retries: what is not written is not acknowledged.
	return outputs.Success(-1, -1, outputs.WithBackoff(o, c.Backoff.Init, c.Backoff.Max))
}

// encode appends line i of an event to a buffer; an event that is no bundle has one.
type encode func(b []byte, e *beat.Event, i int) ([]byte, error)

// encoder returns what appends an event to a buffer, and whether it knows bundles. libbeat's JSON without frills is ours to do.
func encoder(info beat.Info, c codec.Config) (f encode, bundles bool, err error) {
	made, err := codec.CreateEncoder(info, c)
	if err != nil {
		return nil, false, err
	}
	var json struct {
		Pretty     bool `config:"pretty"`
		EscapeHTML bool `config:"escape_html"`
		LocalTime  bool `config:"local_time"`
	}
	name := c.Namespace.Name()
	if name == "json" {
		if err := c.Namespace.Config().Unpack(&json); err != nil {
			return nil, false, err
		}
	}
	if (name == "" || name == "json") && !json.Pretty && !json.LocalTime {
		e := beatjson.New(info.Beat, info.Version, json.EscapeHTML)
		return func(b []byte, ev *beat.Event, i int) ([]byte, error) {
			if group := bundle.Of(ev); group != nil {
				return e.AppendLine(b, ev, group, i), nil
			}
			return e.Append(b, ev), nil
		}, true, nil
	}
	return func(b []byte, ev *beat.Event, _ int) ([]byte, error) {
		text, err := made.Encode(info.Beat, ev)
		return append(b, text...), err
	}, false, nil
}

// output writes batches. It is a network client to libbeat, as only such a client may fail and be tried again.
type output struct {
	log      *logp.Logger
	observer outputs.Observer
	encode   encode
	bundles  bool // encode knows them

	mu   sync.Mutex
	file rotated
	buf  []byte // lines not written yet
}

var (
	_ outputs.NetworkClient = (*output)(nil)
	_ testing.Testable      = (*output)(nil)
)

// Connect opens the file.
func (o *output) Connect() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.file.ready()
}

// Close closes the file.
func (o *output) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.file.close()
}

func (o *output) String() string { return "file(" + o.file.path + ")" }

// Test is what the command "test output" shows. It opens no file, as that may rotate.
func (o *output) Test(d testing.Driver) {
	d.Run("file: "+o.file.path, func(d testing.Driver) {
		d.Fatal("directory", o.file.makeDirectory())
	})
}

// flushAt is how much is written at once, in bytes.
const flushAt = 256 << 10

// Publish writes a batch. After a failure nothing of it stays in the file, it goes back as a whole, and the caller waits before it
// tries again: so one that is stopped meanwhile writes nothing twice when it is started again.
func (o *output) Publish(_ context.Context, batch publisher.Batch) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	events := batch.Events()
	if !o.bundles {
		events = bundle.Expand(events)
	}
	n := bundle.Count(events)
	o.observer.NewBatch(n)
	lost, size, err := o.write(events)
	if err != nil {
		o.observer.WriteError(err)
		o.observer.Failed(n)
		o.log.Errorf("Writing to %s failed, %d events wait: %v", o.file.path, n, err)
		batch.RetryEvents(batch.Events())
		return err
	}
	o.observer.WriteBytes(size)
	o.observer.Acked(n - lost)
	o.observer.Dropped(lost)
	batch.ACK()
	return nil
}

// write writes all events or none. It returns how many of them cannot be written at all, and how many bytes the others are.
func (o *output) write(events []publisher.Event) (lost, size int, err error) {
	if err := o.file.ready(); err != nil {
		return 0, 0, err
	}
	o.file.begin()
	defer func() {
		if err != nil {
			err = errors.Join(err, o.file.undo())
		}
	}()
	o.buf = o.buf[:0]
	flush := func() error {
		size += len(o.buf)
		err := o.file.write(o.buf)
		o.buf = o.buf[:0]
		return err
	}
	add := func(e *beat.Event, i int) error {
		start := len(o.buf)
		line, err := o.encode(o.buf, e, i)
		if err != nil {
			// A codec.format that asks for a field which the event has not: there is no line to write, now or later.
			o.log.Errorf("Failed to serialize an event, it is not written: %v", err)
			lost++
			return nil
		}
		line = append(line, '\n')
		size := int64(len(line) - start)
		if o.file.full(int64(start), size) {
			o.buf = line[:start]
			if err := flush(); err != nil {
				return err
			}
			if err := o.file.rotate(); err != nil {
				return err
			}
			line = append(line[:0], line[start:]...)
		}
		o.buf = line
		if len(o.buf) >= flushAt {
			return flush()
		}
		return nil
	}
	for i := range events {
		e := &events[i].Content
		for k := range bundle.Lines(e) {
			if err := add(e, k); err != nil {
				return 0, 0, err
			}
		}
	}
	if err := flush(); err != nil {
		return 0, 0, err
	}
	if cap(o.buf) > 16*flushAt {
		o.buf = nil
	}
	return lost, size, nil
}
