package pluginapi

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Serve runs the plugin until Tally ends it. It is the whole of main. Started by hand the program prints what it is and exits.
//
// What the program writes to standard error, or to standard output, appears in Tally's log, at most a few lines a second.
func Serve(p Plugin) {
	if os.Getenv(CookieKey) != CookieValue {
		d := p.Describe()
		fmt.Fprintf(os.Stderr, "%s %s is a plugin of Tally and does nothing when started alone; try: tally plugin check %s\n", d.Name, d.Version, os.Args[0])
		os.Exit(2)
	}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{ProtocolVersion: ProtocolVersion, MagicCookieKey: CookieKey, MagicCookieValue: CookieValue},
		Plugins:         plugin.PluginSet{"processor": &serving{p: p}},
		Logger:          hclog.New(&hclog.LoggerOptions{Level: hclog.Error, Output: os.Stderr}),
		GRPCServer: func(o []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(o, grpc.MaxRecvMsgSize(MaxMessage), grpc.MaxSendMsgSize(MaxMessage))...)
		},
	})
}

// Register adds the plugin's service to a gRPC server. Serve does it; tests may do it without a process.
func Register(s grpc.ServiceRegistrar, p Plugin) {
	s.RegisterService(&grpc.ServiceDesc{ServiceName: Service, HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{
		method("Describe", (*service).describe), method("Configure", (*service).configure), method("Process", (*service).process),
	}}, &service{p: p})
}

// serving is what go-plugin calls to have the service registered.
type serving struct {
	plugin.NetRPCUnsupportedPlugin
	p Plugin
}

func (s *serving) GRPCServer(_ *plugin.GRPCBroker, g *grpc.Server) error {
	Register(g, s.p)
	return nil
}

func (*serving) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, fmt.Errorf("this program is a plugin, not a host")
}

// method makes the handler of a call whose request and response are one run of bytes each.
func method(name string, f func(*service, context.Context, []byte) ([]byte, error)) grpc.MethodDesc {
	return grpc.MethodDesc{MethodName: name, Handler: func(s any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		in := new(wrapperspb.BytesValue)
		if err := decode(in); err != nil {
			return nil, err
		}
		out, err := f(s.(*service), ctx, in.Value)
		if err != nil {
			return nil, err
		}
		return wrapperspb.Bytes(out), nil
	}}
}

type service struct {
	p Plugin

	mu         sync.Mutex
	configured bool
	one        sync.Mutex // held by Process of a plugin that is not concurrent
	concurrent bool
}

// greeting is what the host says of itself.
type greeting struct {
	Capabilities []string `json:"capabilities"`
}

func (s *service) describe(_ context.Context, in []byte) ([]byte, error) {
	var g greeting
	if err := json.Unmarshal(in, &g); err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "cannot read what the host says of itself: %v", err)
	}
	d := s.p.Describe()
	for _, need := range d.Needs {
		if !slices.Contains(g.Capabilities, need) {
			return nil, status.Errorf(codes.FailedPrecondition, "%s %s needs a Tally that can %q", d.Name, d.Version, need)
		}
	}
	out, err := json.Marshal(d)
	if err != nil {
		return nil, status.Errorf(codes.Internal, "cannot write the description: %v", err)
	}
	return out, nil
}

func (s *service) configure(_ context.Context, in []byte) (out []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer caught(&err)
	if s.configured {
		return nil, status.Error(codes.FailedPrecondition, "the plugin is configured already")
	}
	if err := s.p.Configure(in); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	s.configured, s.concurrent = true, s.p.Describe().Concurrent
	return nil, nil
}

func (s *service) process(ctx context.Context, in []byte) (out []byte, err error) {
	s.mu.Lock()
	configured, concurrent := s.configured, s.concurrent
	s.mu.Unlock()
	if !configured {
		return nil, status.Error(codes.FailedPrecondition, "the plugin is not configured yet")
	}
	events, err := decodeBatch(in)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if !concurrent {
		s.one.Lock()
		defer s.one.Unlock()
	}
	defer caught(&err)
	if err := s.p.Process(ctx, events); err != nil {
		return nil, status.Error(codes.Aborted, err.Error())
	}
	return appendAnswer(make([]byte, 0, 64+16*len(events)), events), nil
}

// caught turns a panic of the plugin into an error of the call; where it was goes to the log.
func caught(err *error) {
	if p := recover(); p != nil {
		fmt.Fprintf(os.Stderr, "panic: %v\n%s", p, debug.Stack())
		*err = status.Errorf(codes.Internal, "panic: %v", p)
	}
}
