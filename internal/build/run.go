package build

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	data           = "data"
	httpAddr       = "127.0.0.1:5080"
	lumberjackAddr = "127.0.0.1:5044"

	readyWithin = 90 * time.Second
	// Both together stay below the 20 seconds in which an interrupted run must be over.
	agentPatience  = 6 * time.Second
	serverPatience = 11 * time.Second
)

// agentConfig reads this machine's journal and its log files. %s is the Lumberjack address.
const agentConfig = `# Written by go tool mage run at every start.
tallybeat.inputs:
  - type: journald
    id: journal
  - type: applog
    paths:
      - /var/log/*.log
      - /var/log/**/*.log
output.logstash:
  hosts: ["%s"]
logging.to_files: false
`

// Run builds both programs, starts them, and ends them at SIGINT, SIGTERM, or when the processes above this one are gone.
func Run(ctx context.Context) error {
	if err := Programs(ctx); err != nil {
		return err
	}
	// mage would end this process 5 seconds after the first Ctrl-C; the children are given more than that.
	signal.Reset(syscall.SIGINT)
	stop := make(chan os.Signal, 4)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	// The terminal may be gone when the last words are said.
	signal.Ignore(syscall.SIGPIPE)

	r := &running{stop: stop, above: ancestors()}
	err := r.startAll()
	if err == nil {
		say("running; Ctrl-C ends it")
		err = r.wait()
	}
	if errors.Is(err, errAsked) {
		err = nil
	}
	if ended := r.stopAll(); err == nil {
		err = ended
	}
	return err
}

// errAsked means that someone asked for the end.
var errAsked = errors.New("asked to stop")

// running are the children in the order of their start.
type running struct {
	stop     <-chan os.Signal
	above    [2]int
	children []*child
}

func (r *running) start(name, program string, args ...string) error {
	c, err := start(name, filepath.Join(data, "logs", name+".log"), program, args...)
	if err != nil {
		return err
	}
	r.children = append(r.children, c)
	say("started the %s (process %d), log in %s", name, c.cmd.Process.Pid, c.log)
	return nil
}

func (r *running) startAll() error {
	// Another run, or anything else on the port, would answer in place of our server.
	if resp, err := http.Get("http://" + httpAddr + "/healthz"); err == nil {
		resp.Body.Close()
		return fmt.Errorf("something answers on http://%s already; end it first", httpAddr)
	}
	err := r.start("server", "build/tally", "serve", "--data", data, "--http", httpAddr, "--lumberjack", lumberjackAddr)
	if err != nil {
		return err
	}
	if err := r.ready(); err != nil {
		return err
	}
	home, err := filepath.Abs(filepath.Join(data, "agent"))
	if err != nil {
		return fmt.Errorf("cannot find the agent's folder: %w", err)
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return fmt.Errorf("cannot make the agent's folder %q: %w", home, err)
	}
	config := filepath.Join(home, "tallybeat.yml")
	if err := os.WriteFile(config, fmt.Appendf(nil, agentConfig, lumberjackAddr), 0o600); err != nil {
		return fmt.Errorf("cannot write the agent's configuration %q: %w", config, err)
	}
	err = r.start("agent", "build/tallybeat", "-e", "-c", config, "--path.home", home, "--path.data", filepath.Join(home, "data"))
	if err != nil {
		return err
	}
	// The file is there when the server made the password itself, at whichever start that was.
	password := os.Getenv("TALLY_ADMIN_PASSWORD")
	if b, err := os.ReadFile(filepath.Join(data, "admin-password")); err == nil {
		password = strings.TrimSpace(string(b))
	} else if password == "" {
		return fmt.Errorf("cannot read the password that the server made: %w", err)
	}
	fmt.Printf("\n  URL       http://%s\n  user      admin\n  password  %s\n\n", httpAddr, password)
	return nil
}

// ready waits until the server answers queries.
func (r *running) ready() error {
	client := &http.Client{Timeout: 2 * time.Second}
	deadline := time.Now().Add(readyWithin)
	for time.Now().Before(deadline) {
		if resp, err := client.Get("http://" + httpAddr + "/readyz"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		if err := r.watch(200 * time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("the server was not ready within %v; the last lines of its log:\n%s", readyWithin, r.children[0].tail())
}

// wait returns when someone asks for the end or a child has ended.
func (r *running) wait() error {
	for {
		if err := r.watch(500 * time.Millisecond); err != nil {
			return err
		}
	}
}

// watch waits for the time given and returns nil, or earlier with the reason to stop.
func (r *running) watch(d time.Duration) error {
	ended := make([]<-chan struct{}, 2)
	for i, c := range r.children {
		ended[i] = c.done
	}
	select {
	case s := <-r.stop:
		say("%v: stopping", s)
		return errAsked
	case <-ended[0]:
		return r.died(r.children[0])
	case <-ended[1]:
		return r.died(r.children[1])
	case <-time.After(d):
	}
	if ancestors() != r.above {
		say("the process that started this one is gone: stopping")
		return errAsked
	}
	return nil
}

func (r *running) died(c *child) error {
	why := "without an error"
	if c.err != nil {
		why = c.err.Error()
	}
	return fmt.Errorf("the %s ended by itself (%s); the last lines of %s:\n%s", c.name, why, c.log, c.tail())
}

// stopAll ends the children, the agent first, so that the server is there until its last batch is acknowledged.
func (r *running) stopAll() error {
	var all []error
	for i := len(r.children) - 1; i >= 0; i-- {
		c := r.children[i]
		patience := serverPatience
		if c.name == "agent" {
			patience = agentPatience
		}
		select {
		case <-c.done: // died has said so
			continue
		default:
		}
		start := time.Now()
		if err := c.stop(patience); err != nil {
			all = append(all, err)
		} else {
			say("the %s ended within %v", c.name, time.Since(start).Round(10*time.Millisecond))
		}
	}
	return errors.Join(all...)
}

// ancestors are the ids of the parent (mage) and its parent (go tool). They change when one of the two is killed, which
// sends no signal here.
func ancestors() [2]int {
	parent := os.Getppid()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", parent))
	if err != nil {
		return [2]int{parent, 0}
	}
	// The name, in parentheses, may hold anything; after it come the state and the parent's id.
	var state string
	var grand int
	_, _ = fmt.Sscan(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), &state, &grand)
	return [2]int{parent, grand}
}
