package host

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/plugins/pluginapi"
	"github.com/tallylog/tally/plugins/proto"
	"github.com/tallylog/tally/strictyaml"
)

// Lone is a plugin outside any pipeline, to be tried.
type Lone struct{ s *session }

// Checksum gives the checksum of a program as configurations have it, after the checks of a start.
func Checksum(path string) (string, error) {
	f, sum, err := load(path)
	if err != nil {
		return "", err
	}
	return sum.String(), f.Close()
}

// StartLone starts the program with the options under n (zero for none), as a pipeline would, whatever its checksum.
func StartLone(ctx context.Context, path string, n strictyaml.Node, log *slog.Logger) (*Lone, error) {
	c := defaults()
	c.Name, c.Options = "plugin", n
	var err error
	if c.Path, err = filepath.Abs(path); err != nil {
		return nil, fmt.Errorf("cannot find plugin %q: %w", path, err)
	}
	c.Checksum = checksum{1} // check wants one; the file may be any
	if err := c.check(); err != nil {
		return nil, err
	}
	c.Checksum = checksum{}
	s, err := start(ctx, &c, "tally", log)
	if err != nil {
		return nil, err
	}
	return &Lone{s}, nil
}

// Description is what the plugin said of itself.
func (l *Lone) Description() pluginapi.Description { return l.s.desc }

// Raw calls a method with any bytes.
func (l *Lone) Raw(ctx context.Context, method string, in []byte) ([]byte, error) {
	return l.s.call(ctx, method, in)
}

// Process takes a batch through the plugin, as a pipeline does.
func (l *Lone) Process(ctx context.Context, events []*event.Event) ([]proto.Result, error) {
	return l.s.process(ctx, events)
}

// Ended tells whether the process is gone, and why.
func (l *Lone) Ended() (reason string, ended bool) {
	select {
	case <-l.s.proc.done:
		reason, _ = l.s.proc.why()
		return reason, true
	default:
		return "", false
	}
}

// Close asks the process to end and tells how long that took; after a second it is killed.
func (l *Lone) Close() time.Duration {
	began := time.Now()
	l.s.proc.end()
	took := time.Since(began)
	l.s.close()
	return took
}
