package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/plugins/pluginapi"
	"github.com/tallylog/tally/plugins/proto"
)

// session is a plugin's process that has been greeted and configured.
type session struct {
	c      *Config
	proc   *process
	client *plugin.Client
	cc     *grpc.ClientConn
	desc   pluginapi.Description
	reads  *proto.Fields
	writes *proto.Fields
	turn   chan struct{} // holds one token where the plugin takes one batch at a time, else nil
	dir    string
}

// errRefused wraps what no second try would mend: the wrong program, the wrong options.
var errRefused = errors.New("refused")

// errStarved wraps a start that failed for want of memory.
var errStarved = errors.New("too little memory for the plugin")

type refusal struct{ error }

func (refusal) Is(target error) bool { return target == errRefused }
func (r refusal) Unwrap() error      { return r.error }

// start starts the program, asks it what it is, and configures it. An error that is errRefused will come again.
func start(ctx context.Context, c *Config, host string, log *slog.Logger) (s *session, err error) {
	file, sum, err := load(c.Path)
	if err != nil {
		return nil, refusal{c.home.At("path").Place(err)}
	}
	defer file.Close()
	if c.Checksum != (checksum{}) && sum != c.Checksum {
		return nil, refusal{c.home.At("checksum").Errorf("the file %q is not the one that is wanted: it has %s", c.Path, sum)}
	}
	dir, err := os.MkdirTemp(socketRoom(), "tally-plugin-")
	if err != nil {
		return nil, fmt.Errorf("cannot make a directory for the socket: %w", err)
	}
	s = &session{c: c, dir: dir}
	s.proc = &process{c: c, file: file, done: make(chan struct{})}
	s.proc.meter = &meter{log: log, flood: func() { s.proc.kill("output", "it wrote more than 1 MiB in a second") }}
	s.client = plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  plugin.HandshakeConfig{ProtocolVersion: pluginapi.ProtocolVersion, MagicCookieKey: pluginapi.CookieKey, MagicCookieValue: pluginapi.CookieValue},
		Plugins:          plugin.PluginSet{"processor": clientOnly{}},
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		SkipHostEnv:      true,
		UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: dir},
		StartTimeout:     time.Duration(c.StartTimeout),
		Logger:           hclog.NewNullLogger(),
		Stderr:           s.proc.meter, SyncStdout: streamed{s.proc.meter}, SyncStderr: streamed{s.proc.meter},
		RunnerFunc: func(_ hclog.Logger, spec *exec.Cmd, socketDir string) (runner.Runner, error) {
			s.proc.spec, s.proc.socketDir = spec, socketDir
			return s.proc, nil
		},
		GRPCDialOptions: []grpc.DialOption{grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(pluginapi.MaxMessage), grpc.MaxCallSendMsgSize(pluginapi.MaxMessage))},
	})
	// A program that hangs before its handshake is ended when ctx is.
	stop := context.AfterFunc(ctx, func() { s.proc.kill("stopped", "") })
	defer stop()
	defer func() {
		if err != nil {
			s.close() // and with it all is read that the program has written
			if said := s.proc.meter.last(); said != "" && !errors.Is(err, errRefused) {
				err = fmt.Errorf("%w; it said: %s", err, said)
			}
			if s.proc.starved() {
				err = fmt.Errorf("%w: it needs more than %d MiB: %w", errStarved, int64(c.Memory)>>20, err)
			}
			s = nil
		}
	}()
	rpc, err := s.client.Client()
	if err != nil {
		text, _, _ := strings.Cut(err.Error(), "\n") // go-plugin adds hints for those who build it
		if strings.HasPrefix(text, "Unrecognized remote plugin message") {
			text = "it ended, or wrote something else, before the line that says where it listens"
		}
		return s, fmt.Errorf("cannot start plugin %q: %s", c.Name, text)
	}
	raw, err := rpc.Dispense("processor")
	if err != nil {
		return s, fmt.Errorf("cannot connect to plugin %q: %w", c.Name, err)
	}
	s.cc = raw.(*grpc.ClientConn)
	ctx, cancel := context.WithTimeout(ctx, time.Duration(c.StartTimeout))
	defer cancel()
	return s, s.greet(ctx, host)
}

// socketRoom is where the directories of sockets are made: that of temporary files, unless the path of a socket in it were longer than the
// 107 bytes that the kernel takes (unix(7)). What go-plugin and this package put behind it is less than 64.
func socketRoom() string {
	if dir := os.TempDir(); len(dir) <= 107-64 {
		return dir
	}
	return "/tmp"
}

// greet does Describe and Configure.
func (s *session) greet(ctx context.Context, host string) error {
	hello, err := json.Marshal(map[string]any{"protocol": pluginapi.ProtocolVersion, "host": host, "capabilities": capabilities})
	if err != nil {
		return err
	}
	answer, err := s.call(ctx, "Describe", hello)
	if err != nil {
		return refusedBy(err, fmt.Errorf("the plugin %s does not describe itself: %w", s.c.Name, err))
	}
	if err := json.Unmarshal(answer, &s.desc); err != nil {
		return refusal{s.c.place.Errorf("the plugin %s describes itself in another way than is wanted: %v", s.c.Name, err)}
	}
	if err := checkDescription(&s.desc); err != nil {
		return refusal{s.c.place.Place(err)}
	}
	if s.reads, err = proto.NewFields(s.desc.Reads, false); err == nil {
		s.writes, err = proto.NewFields(s.desc.Writes, true)
	}
	if err != nil {
		return refusal{s.c.place.Place(fmt.Errorf("the plugin %s: %w", s.c.Name, err))}
	}
	options, err := s.c.fill(s.desc.Options)
	if err != nil {
		return refusal{err}
	}
	if _, err := s.call(ctx, "Configure", options); err != nil {
		return refusedBy(err, s.c.place.At("config").Place(fmt.Errorf("the plugin %s: %s", s.c.Name, status.Convert(err).Message())))
	}
	if !s.desc.Concurrent {
		s.turn = make(chan struct{}, 1)
	}
	return nil
}

// refusedBy makes err a refusal where the plugin itself has said no.
func refusedBy(cause, err error) error {
	if c := status.Code(cause); c == codes.InvalidArgument || c == codes.FailedPrecondition {
		return refusal{err}
	}
	return err
}

func (s *session) call(ctx context.Context, method string, in []byte) ([]byte, error) {
	out := new(wrapperspb.BytesValue)
	if err := s.cc.Invoke(ctx, "/"+pluginapi.Service+"/"+method, wrapperspb.Bytes(in), out); err != nil {
		return nil, err
	}
	return out.Value, nil
}

// process takes events through the plugin: one result for each. After a deadline and after a garbled answer the process is ended.
func (s *session) process(ctx context.Context, events []*event.Event) ([]proto.Result, error) {
	if s.turn != nil {
		select {
		case s.turn <- struct{}{}:
			defer func() { <-s.turn }()
		case <-s.proc.done: // whoever had the turn has hung
			return nil, errors.New("the plugin was ended before this batch had its turn")
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	size := 1024
	for _, e := range events {
		size += proto.Size(e)
	}
	in := proto.AppendBatch(make([]byte, 0, size), events, s.reads)
	ctx, cancel := context.WithTimeout(ctx, time.Duration(s.c.Timeout))
	defer cancel()
	out, err := s.call(ctx, "Process", in)
	switch code := status.Code(err); {
	case code == codes.DeadlineExceeded:
		s.proc.kill("timeout", fmt.Sprintf("no answer within %v", time.Duration(s.c.Timeout)))
		return nil, fmt.Errorf("the plugin did not answer within %v", time.Duration(s.c.Timeout))
	case code == codes.ResourceExhausted:
		err = fmt.Errorf("the answer is too large: %s", status.Convert(err).Message())
		s.proc.kill("garbage", err.Error())
		return nil, err
	case err != nil:
		return nil, errors.New(proto.Short(status.Convert(err).Message()))
	}
	results, err := proto.DecodeAnswer(out, len(events), s.writes)
	if err != nil {
		s.proc.kill("garbage", err.Error())
		return nil, err
	}
	return results, nil
}

// close ends the process, if it still runs, and gives back what belongs to it. What the program has written is read then, but for what a
// process that has left its group writes later than a second after the end.
func (s *session) close() {
	if s.proc.pid() != 0 {
		s.proc.end()
	}
	s.client.Kill()
	_ = os.RemoveAll(s.dir)
}

// clientOnly gives the connection as it is.
type clientOnly struct{ plugin.NetRPCUnsupportedPlugin }

func (clientOnly) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error {
	return errors.New("this program is a host, not a plugin")
}

func (clientOnly) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, cc *grpc.ClientConn) (any, error) {
	return cc, nil
}
