// Command rogue is a plugin that does everything a plugin should not do, one thing at a time, for the tests of the host. Its option
// mode says what. It speaks the protocol by hand, as pluginapi would not let it.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

type rogue struct{ Mode, Mark string }

func main() {
	if os.Getenv("ROGUE") == "mute" { // never a handshake
		select {}
	}
	l, err := net.Listen("unix", filepath.Join(os.Getenv("PLUGIN_UNIX_SOCKET_DIR"), "s"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	network, addr, version := "unix", l.Addr().String(), 1
	switch os.Getenv("ROGUE") {
	case "tcp":
		network, addr = "tcp", "127.0.0.1:22"
	case "elsewhere":
		addr = "/run/dbus/system_bus_socket"
	case "version":
		version = 7
	}
	fmt.Printf("1|%d|%s|%s|grpc\n", version, network, addr)
	g := grpc.NewServer(grpc.MaxRecvMsgSize(64<<20), grpc.MaxSendMsgSize(256<<20))
	r := &rogue{}
	method := func(name string, f func([]byte) ([]byte, error)) grpc.MethodDesc {
		return grpc.MethodDesc{MethodName: name, Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			in := new(wrapperspb.BytesValue)
			if err := decode(in); err != nil {
				return nil, err
			}
			out, err := f(in.Value)
			return wrapperspb.Bytes(out), err
		}}
	}
	g.RegisterService(&grpc.ServiceDesc{ServiceName: "tally.plugin.v1.Processor", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{
		method("Describe", r.describe), method("Configure", r.configure), method("Process", r.process),
	}}, r)
	_ = g.Serve(l)
}

func (r *rogue) describe([]byte) ([]byte, error) {
	d := map[string]any{"name": "rogue", "version": "1", "reads": []string{"message"}, "writes": []string{"*"}, "concurrent": true,
		"options": []map[string]any{{"name": "mode", "type": "string"}, {"name": "mark", "type": "string", "default": "m"}}}
	switch os.Getenv("ROGUE") {
	case "writes":
		d["writes"] = []string{"tally.position"}
	case "needs":
		d["needs"] = []string{"telepathy"}
	case "undescribed":
		return []byte("\xff"), nil
	}
	return json.Marshal(d)
}

func (r *rogue) configure(in []byte) ([]byte, error) {
	if err := json.Unmarshal(in, r); err != nil || r.Mode == "unconfigurable" {
		return nil, status.Error(codes.InvalidArgument, "this mode does not suit me")
	}
	if r.Mode == "environment" {
		fmt.Fprintln(os.Stderr, "environment:", strings.Join(os.Environ(), " "))
	}
	return nil, nil
}

// answer is that a plugin gives that sets the field rogue to its mark in each of n events.
func (r *rogue) answer(n int, name string) []byte {
	b := append([]byte{1, 1, byte(len(name))}, name...)
	b = binary.AppendUvarint(b, uint64(n))
	for range n {
		b = append(append(b, 2, 0, 0, 1, 0, 0, byte(len(r.Mark))), r.Mark...)
		b = append(b, 0)
	}
	return b
}

// events is the number of events in a batch.
func events(in []byte) int {
	at := 1
	next := func() int {
		n, l := binary.Uvarint(in[at:])
		at += l
		return int(n)
	}
	for n := next(); n > 0; n-- {
		at += next()
	}
	return next()
}

func (r *rogue) process(in []byte) ([]byte, error) {
	n := events(in)
	switch r.Mode {
	case "exit":
		os.Exit(3)
	case "poison": // dies of one line
		if bytes.Contains(in, []byte("poison")) {
			fmt.Fprintln(os.Stderr, "that was poison")
			os.Exit(3)
		}
	case "hang":
		select {}
	case "garbage":
		return bytes.Repeat([]byte("\xde\xad\xbe\xef"), 100), nil
	case "huge":
		return make([]byte, 100<<20), nil
	case "more":
		return r.answer(n+1, "rogue"), nil
	case "fewer":
		return r.answer(n-1, "rogue"), nil
	case "id":
		return r.answer(n, "_id"), nil
	case "position":
		return r.answer(n, "tally.source"), nil
	case "metadata":
		return r.answer(n, "@metadata.tally.source"), nil
	case "namespace":
		return r.answer(n, "kubernetes.namespace"), nil
	case "error":
		return nil, status.Error(codes.Aborted, "not today")
	case "eat":
		for hold := [][]byte{}; ; {
			b := make([]byte, 16<<20)
			for i := range b {
				b[i] = 1
			}
			hold = append(hold, b)
			_ = hold
		}
	case "stdout", "stderr":
		f := os.Stdout
		if r.Mode == "stderr" {
			f = os.Stderr
		}
		line := []byte(strings.Repeat("flood ", 100) + "\n")
		for {
			if _, err := f.Write(line); err != nil {
				time.Sleep(time.Hour)
			}
		}
	case "child": // leaves a process behind
		c := exec.Command("sleep", "1000")
		c.Stdout, c.Stderr = os.Stdout, os.Stderr
		if err := c.Start(); err != nil {
			return nil, err
		}
		fmt.Fprintf(os.Stderr, "child %d\n", c.Process.Pid)
	case "drop":
		b := binary.AppendUvarint([]byte{1, 0}, uint64(n))
		return append(b, bytes.Repeat([]byte{1}, n)...), nil
	case "split": // in two, the second with a mark
		b := binary.AppendUvarint([]byte{1, 1, 1, 'm'}, uint64(n))
		for range n {
			b = append(b, 3, 2, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, '2', 0)
		}
		return b, nil
	}
	return r.answer(n, "rogue"), nil
}
