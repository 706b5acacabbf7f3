package plugintest

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/plugins/contract"
	"github.com/tallylog/tally/plugins/host"
	"github.com/tallylog/tally/plugins/pluginapi"
	"github.com/tallylog/tally/plugins/proto"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// Program gives the path of a program that can be run as a plugin: a Go package, or a directory with one, is built; another file is copied
// to a directory in which nobody else can write.
func Program(t testing.TB, what string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "plugintest-") // mode 0700, whatever the umask
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "plugin")
	if fi, err := os.Stat(what); err == nil && fi.Mode().IsRegular() {
		b, err := os.ReadFile(what)
		if err == nil {
			err = os.WriteFile(path, b, 0o700)
		}
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	if out, err := exec.Command("go", "build", "-o", path, what).CombinedOutput(); err != nil {
		t.Fatalf("cannot build plugin %q: %v\n%s", what, err, out)
	}
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// Check holds a program to the contract. config is what stands under config in the configuration, as YAML.
func Check(t *testing.T, what, config string) {
	t.Helper()
	r := contract.Run(t.Context(), Program(t, what), parse(t, config), slog.New(slog.NewTextHandler(t.Output(), nil)))
	for _, f := range r.Findings {
		if f.Err != nil {
			t.Errorf("%s: %v", f.Check, f.Err)
		} else {
			t.Logf("%s: ok %s", f.Check, f.Note)
		}
	}
}

func parse(t testing.TB, config string) strictyaml.Node {
	t.Helper()
	n, err := strictyaml.Parse("config", []byte(config), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Plugin is a program under test.
type Plugin struct {
	t testing.TB
	l *host.Lone
}

// Start starts a program; it ends with the test.
func Start(t testing.TB, what, config string) *Plugin {
	t.Helper()
	l, err := host.StartLone(context.Background(), Program(t, what), parse(t, config), slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &Plugin{t, l}
}

// Description is what the plugin says of itself.
func (p *Plugin) Description() pluginapi.Description { return p.l.Description() }

// Process takes events, as JSON, through the plugin in one batch, and gives those that come out, as flat JSON. One that failed comes
// out with the reason in error.message.
func (p *Plugin) Process(events ...string) []string {
	p.t.Helper()
	in := make([]*event.Event, len(events))
	for i, s := range events {
		e, err := new(event.Decoder).Decode([]byte(s))
		if err != nil {
			p.t.Fatalf("%s: %v", s, err)
		}
		in[i] = &e
	}
	results, err := p.l.Process(p.t.Context(), in)
	if err != nil {
		p.t.Fatal(err)
	}
	var out []string
	for i, r := range results {
		switch r.What {
		case pluginapi.Kept:
			out = append(out, text(in[i]))
		case pluginapi.Failed:
			in[i].Put("error.message", r.Reason)
			out = append(out, text(in[i]))
		}
		for _, c := range r.Changes {
			out = append(out, text(changed(in[i], c)))
		}
	}
	return out
}

func changed(e *event.Event, c proto.Change) *event.Event {
	n := *e
	n.Fields = append([]event.Field(nil), e.Fields...)
	c.Apply(&n)
	return &n
}

func text(e *event.Event) string { return string(processor.AppendJSON(nil, e)) }
