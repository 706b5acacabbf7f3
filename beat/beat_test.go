package beat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/elastic/go-lumber/lj"
	lumber "github.com/elastic/go-lumber/server/v2"
	"github.com/spf13/cobra"
)

// asAgent makes this test binary behave as tallybeat, so that the tests see a real process.
const asAgent = "TALLY_TEST_AS_AGENT"

// signalAtOnce makes that process ask itself to end as soon as it has begun.
const signalAtOnce = "TALLY_TEST_SIGNAL_AT_ONCE"

func TestMain(m *testing.M) {
	if os.Getenv(asAgent) != "" {
		c := Command()
		if run := c.Run; os.Getenv(signalAtOnce) != "" {
			c.Run = func(c *cobra.Command, args []string) {
				_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
				run(c, args)
			}
		}
		if err := c.Execute(); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// output collects what a process prints.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// agent prepares tallybeat with this configuration and a home of its own.
func agent(t *testing.T, home, config string, args ...string) (*exec.Cmd, *output) {
	t.Helper()
	cmd := exec.Command(os.Args[0], append(args, "-c", config, "--path.home", home, "--path.config", filepath.Dir(config))...)
	cmd.Env = append(os.Environ(), asAgent+"=1")
	out := &output{}
	cmd.Stdout, cmd.Stderr = out, out
	t.Cleanup(func() {
		if cmd.Process != nil && cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	return cmd, out
}

// until waits for a condition, for at most a minute.
func until(t *testing.T, what string, out *output, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen; the agent printed:\n%s", what, out)
		}
	}
}

// sink is a genuine Lumberjack server that acknowledges everything.
func sink(t *testing.T) (addr string, batches <-chan *lj.Batch) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := lumber.NewWithListener(l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return l.Addr().String(), s.ReceiveChan()
}

type event struct {
	Message  string `json:"message"`
	Metadata struct {
		Beat  string `json:"beat"`
		Tally *struct {
			Source  string `json:"source"`
			From    int64  `json:"from"`
			To      int64  `json:"to"`
			Skipped int64  `json:"skipped"`
			Sum     string `json:"sum"`
		} `json:"tally"`
	} `json:"@metadata"`
}

// The whole way: lines of a file, over output.logstash to a genuine Lumberjack server, each with its position; after a
// restart only what is new.
func TestAgentShipsPositions(t *testing.T) {
	addr, batches := sink(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "app.log")
	appendLines := func(from, to int) {
		t.Helper()
		f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for i := from; i < to; i++ {
			if _, err := fmt.Fprintf(f, "line number %d\n", i); err != nil {
				t.Fatal(err)
			}
		}
	}
	config := write(t, fmt.Sprintf(`
tallybeat.inputs:
  - type: applog
    paths: [%q]
output.logstash.hosts: [%q]
`, file, addr))
	home := t.TempDir()
	at, source := int64(0), ""
	run := func(from, to int) {
		t.Helper()
		appendLines(from, to)
		cmd, out := agent(t, home, config, "-e")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for next := from; next < to; {
			select {
			case b := <-batches:
				for _, raw := range b.Events {
					text, err := json.Marshal(raw)
					if err != nil {
						t.Fatal(err)
					}
					var e event
					if err := json.Unmarshal(text, &e); err != nil {
						t.Fatal(err)
					}
					want := fmt.Sprintf("line number %d", next)
					p := e.Metadata.Tally
					if e.Message != want || p == nil || p.From != at || p.To != at+int64(len(want))+1 || p.Source == "" {
						t.Fatalf("want %q at %d, got %s", want, at, text)
					}
					if source == "" {
						source = p.Source
					}
					if p.Source != source || e.Metadata.Beat != Name {
						t.Fatalf("source %q, want %q, of beat %q: %s", p.Source, source, Name, text)
					}
					at, next = p.To, next+1
				}
				b.ACK()
			case <-time.After(3 * time.Minute):
				t.Fatalf("line %d did not come; the agent printed:\n%s", next, out)
			}
		}
		until(t, "the line about published events", out, func() bool {
			return strings.Contains(out.String(), Name+" successfully published events")
		})
		if !strings.Contains(out.String(), Name+" is running") {
			t.Errorf("the log does not say that the beat is running:\n%s", out)
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatalf("the agent ended with %v:\n%s", err, out)
		}
	}
	run(0, 1000)
	run(1000, 1500)
}

// A broken configuration ends the agent with 1 and names file, line and key, whether it is tested or run.
func TestBrokenConfiguration(t *testing.T) {
	f := func(text, place string) {
		t.Helper()
		config := write(t, text)
		for _, args := range [][]string{{"test", "config"}, {"run"}} {
			cmd, out := agent(t, t.TempDir(), config, args...)
			err := cmd.Start()
			if err != nil {
				t.Fatal(err)
			}
			timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
			_ = cmd.Wait()
			timer.Stop()
			if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(out.String(), config+place) {
				t.Errorf("%v of\n%s\nexits with %d, want 1 and a mention of %q:\n%s", args, text, code, place, out)
			}
		}
	}
	const in = "tallybeat.inputs:\n  - type: applog\n    paths: [/x]\n"
	const out = "output.console: {}\n"
	f("tallybeat.inputs:\n  - type: applog\n     paths: [/x]\n"+out, ":3: paths")
	f("tallybeat.inputs:\n  - type: nosuch\n"+out, ":2: tallybeat.inputs.0.type")
	f("tallybeat.inputs:\n  - type: applog\n"+out, ":2: tallybeat.inputs.0")
	f("tallybeat.inputs:\n  - type: applog\n    paths: [/x]\n    max_bytes: lots\n"+out, ":4: tallybeat.inputs.0.max_bytes")
	f("tallybeat.inputs:\n  - type: journald\n    seek: nowhere\n"+out, ":2: tallybeat.inputs.0")
	f(in+"output.nosuch: {}\n", ":4: output.nosuch")
	f(in+out+"queue.mem.events: many\n", ":5: queue.mem.events")
	f(in+"output.logstash:\n  hosts: [a]\n  worker: x\n", ":6: output.logstash.worker")
}

// The configurations that are shipped work, and looking at them opens no registry.
func TestCommands(t *testing.T) {
	for _, config := range []string{"../_meta/tallybeat.yml", "../_meta/tallybeat.reference.yml"} {
		text, err := os.ReadFile(config)
		if err != nil {
			t.Fatal(err)
		}
		config := write(t, string(text))
		home := t.TempDir()
		f := func(want string, args ...string) {
			t.Helper()
			cmd, out := agent(t, home, config, args...)
			if err := cmd.Run(); err != nil || !strings.Contains(out.String(), want) {
				t.Errorf("%v of %s: %v, want %q in:\n%s", args, config, err, want, out)
			}
		}
		f("Config OK", "test", "config")
		f("events: 77", "export", "config", "-E", "queue.mem.events=77")
		f(Name+" version", "version")
		if _, err := os.Stat(filepath.Join(home, "data", "positions.db")); err == nil {
			t.Errorf("a command that only looks opened the registry of positions")
		}
	}
}
