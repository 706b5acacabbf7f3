package host_test

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/plugins/contract"
	"github.com/tallylog/tally/plugins/host"
	"github.com/tallylog/tally/plugins/pluginapi"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

var rogueOnce = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "rogue-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "rogue")
	out, err := exec.Command("go", "build", "-o", path, "../plugintest/rogue").CombinedOutput()
	if err != nil {
		return dir, fmt.Errorf("%w: %s", err, out)
	}
	return path, os.Chmod(path, 0o700)
})

func TestMain(m *testing.M) {
	if os.Getenv(pluginapi.CookieKey) == pluginapi.CookieValue { // started as the plugin of the benchmark
		pluginapi.Serve(ten{})
		return
	}
	code := m.Run()
	if path, _ := rogueOnce(); path != "" {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

func rogue(t testing.TB) string {
	t.Helper()
	path, err := rogueOnce()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// logged is what the set logs.
type logged struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// step starts a plugin with these keys beside path and checksum.
func step(t testing.TB, path, keys string) (processor.Group, *host.Set, *logged, error) {
	t.Helper()
	sum, err := host.Checksum(path)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strictyaml.Parse("test.yml", fmt.Appendf(nil, "name: r\npath: %s\nchecksum: %s\n%s", path, sum, keys), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	log := &logged{}
	var w io.Writer = log
	s := host.New(host.Options{Log: slog.New(slog.NewTextHandler(w, nil)), Host: "test"})
	t.Cleanup(s.Close)
	d, err := s.Draft(strictyaml.Node{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := d.Processor(n)
	if err != nil {
		return nil, s, log, err
	}
	return p.(processor.Group), s, log, d.Start()
}

func lines(n int) []*event.Event {
	out := make([]*event.Event, n)
	for i := range out {
		out[i] = &event.Event{Fields: []event.Field{{Name: "message", Value: fmt.Sprint("line ", i)}}, Position: ledger.Position{Source: "s", From: int64(i), To: int64(i + 1), Sum: "x"}}
	}
	return out
}

func wait(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !f(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func keys(mode string) string {
	more := ""
	switch mode {
	case "hang":
		more = "timeout: 200ms\n"
	case "huge":
		more = "memory: 512MiB\n"
	}
	if !strings.Contains(more, "timeout") {
		more += "timeout: 20s\n"
	}
	return more + fmt.Sprintf("config: {mode: %s}\n", mode)
}

// TestRogues: whatever a plugin does to a batch, each event comes back as it was, with a failure; the end of the process has its reason;
// and the plugin is up again.
func TestRogues(t *testing.T) {
	for mode, want := range map[string]string{
		"exit": "exit", "hang": "timeout", "garbage": "garbage", "huge": "garbage", "more": "garbage", "fewer": "garbage", "id": "garbage", "position": "garbage",
		"metadata": "garbage", "eat": "memory", "stdout": "output", "stderr": "output", "error": "none",
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			p, s, log, err := step(t, rogue(t), keys(mode))
			if err != nil {
				t.Fatal(err)
			}
			in, before := lines(100), lines(100)
			for i, o := range p.ProcessGroup(in) {
				if o.Err == nil || o.Drop || len(o.More) > 0 || processor.Tag(o.Err) != host.FailureTag || fmt.Sprint(*in[i]) != fmt.Sprint(*before[i]) {
					t.Fatalf("event %d: %+v, %+v\n%s", i, o, in[i], log)
				}
			}
			st := func() host.Status { return s.List()[0] }
			if want == "none" {
				if st().Restarts != 0 || st().State != host.Running || !strings.Contains(st().LastError, "not today") {
					t.Errorf("%+v", st())
				}
			} else {
				wait(t, "the plugin to come back", func() bool { return st().Restarts > 0 && st().State == host.Running })
				if st().Ends[want] != 1 {
					t.Errorf("%+v\n%s", st(), log)
				}
				if said := map[string]string{"hang": "no answer within 200ms", "fewer": "99 events", "id": "_id", "stdout": "more than 1 MiB"}[mode]; !strings.Contains(st().LastError, said) {
					t.Errorf("the last error is %q, which does not say %q", st().LastError, said)
				}
			}
			if st().Failed != 100 || st().Events != 100 || st().FailedBatches != 1 {
				t.Errorf("%+v", st())
			}
			if n := len(log.String()); n > 100_000 {
				t.Errorf("%d bytes of log", n)
			}
		})
	}
}

// TestPolicies: what becomes of a batch that failed.
func TestPolicies(t *testing.T) {
	p, s, _, err := step(t, rogue(t), "on_failure: drop\nconfig: {mode: exit}\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range p.ProcessGroup(lines(3)) {
		if !o.Drop || o.Err == nil {
			t.Fatalf("%+v", o)
		}
	}
	if st := s.List()[0]; st.Dropped != 3 {
		t.Errorf("%+v", st)
	}
	// A plugin that is killed while a batch waits gets it again.
	p, s, _, err = step(t, rogue(t), "on_failure: retry\nconfig: {mark: back}\n")
	if err != nil {
		t.Fatal(err)
	}
	pid := 0
	wait(t, "the plugin to run", func() bool { pid = s.List()[0].PID; return pid > 0 }) // to kill 0 were to end these tests
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	in := lines(3)
	for i, o := range p.ProcessGroup(in) {
		if v, _ := in[i].Get("rogue"); o.Err != nil || v != "back" {
			t.Errorf("%+v %+v", o, in[i])
		}
	}
	// And one that never works is given up.
	p, _, _, err = step(t, rogue(t), "on_failure: retry\nretry_timeout: 300ms\nconfig: {mode: error}\n")
	if err != nil {
		t.Fatal(err)
	}
	if o := p.ProcessGroup(lines(1))[0]; o.Err == nil || o.Drop {
		t.Errorf("%+v", o)
	}
}

// TestRefused: what no second try would mend is an error with its place.
func TestRefused(t *testing.T) {
	f := func(keys, want string) {
		t.Helper()
		_, _, log, err := step(t, rogue(t), keys)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v\nwant %s\n%s", keys, err, want, log)
		}
	}
	f("config: {moed: x}\n", "test.yml:4: config.moed: unknown option of the plugin; known here are mark, mode; did you mean mode?")
	f("config: {mode: 7}\n", "test.yml:4: config.mode: a value of another type is wanted: string")
	f("config: {mode: unconfigurable}\n", "test.yml:4: config: the plugin r: this mode does not suit me")
	f("environment: [ROGUE=writes]\n", `the field "tally.position" belongs to the server`)
	f("environment: [ROGUE=needs]\n", `needs a Tally that can "telepathy"`)
	f("environment: [ROGUE=undescribed]\n", "describes itself in another way")
	f("environment: [LD_PRELOAD=x]\n", "test.yml:4: environment")
	f("memory: 1MiB\n", "test.yml:4: memory: at least 32MiB")
	f("on_failure: explode\n", `test.yml:4: on_failure: "explode" is none of keep, retry, drop`)
	f("tiemout: 1s\n", "test.yml:4: tiemout: unknown key; known here are checksum, config, environment, memory, name, on_failure, path, retry_timeout, start_timeout, timeout; did you mean timeout?")
}

// TestNoStart: a plugin that does not come up is tried again, and its events pass.
func TestNoStart(t *testing.T) {
	for _, how := range []string{"mute", "tcp", "elsewhere", "version"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			p, s, log, err := step(t, rogue(t), "start_timeout: 300ms\nenvironment: [ROGUE="+how+"]\n")
			if err != nil {
				t.Fatal(err)
			}
			if o := p.ProcessGroup(lines(1))[0]; o.Err == nil || o.Drop {
				t.Errorf("%+v", o)
			}
			wait(t, "another try", func() bool { return s.List()[0].Restarts > 0 && s.List()[0].Ends["start"] > 1 })
			if how == "tcp" && !strings.Contains(log.String(), "no Unix socket in the directory") {
				t.Errorf("log: %s", log)
			}
		})
	}
}

func TestEnvironmentAndChildren(t *testing.T) {
	t.Setenv("TALLY_ADMIN_PASSWORD", "secret-in-the-environment")
	t.Setenv("WANTED", "passed-on")
	_, s, log, err := step(t, rogue(t), "environment: [WANTED, MORE=given, NOT_THERE]\nconfig: {mode: environment}\n")
	if err != nil {
		t.Fatal(err)
	}
	wait(t, "the environment", func() bool { return strings.Contains(log.String(), "environment:") })
	for _, want := range []string{"WANTED=passed-on", "MORE=given", "TALLY_PLUGIN="} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%s is missing: %s", want, log)
		}
	}
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", s.List()[0].PID))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(env), "secret-in-the-environment") || strings.Contains(string(env), "HOME=") || strings.Contains(string(env), "NOT_THERE") {
		t.Errorf("the environment is %q", env)
	}
	// What the plugin has started goes with it.
	p, s, log, err := step(t, rogue(t), "config: {mode: child}\n")
	if err != nil {
		t.Fatal(err)
	}
	if o := p.ProcessGroup(lines(1))[0]; o.Err != nil {
		t.Fatal(o.Err)
	}
	wait(t, "the child", func() bool { return strings.Contains(log.String(), `text="child `) })
	_, after, _ := strings.Cut(log.String(), `text="child `)
	id, _, _ := strings.Cut(after, `"`)
	child, err := strconv.Atoi(id)
	if err != nil {
		t.Fatal(err)
	}
	parent := s.List()[0].PID
	if g, err := syscall.Getpgid(child); err != nil || g != parent {
		t.Errorf("the child's group is %d, %v; the plugin is %d", g, err, parent)
	}
	s.Close()
	wait(t, "the child to be gone", func() bool { return gone(child) && gone(parent) })
}

// gone tells whether a process has ended; a zombie has.
func gone(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(b), ") Z ")
}

func TestSplitAndDrop(t *testing.T) {
	p, s, _, err := step(t, rogue(t), "config: {mode: split}\n")
	if err != nil {
		t.Fatal(err)
	}
	in := lines(2)
	in[1].Position = ledger.Position{}
	in[1].Identity = "own"
	out := p.ProcessGroup(in)
	if len(out[0].More) != 1 || len(out[1].More) != 1 || out[1].More[0].Identity == "own" || in[1].Identity != "own" {
		t.Fatalf("%+v", out)
	}
	more := out[0].More[0]
	if m, _ := more.Get("m"); m != "2" || more.Position.ID() == in[0].Position.ID() || more.Position.Validate() != nil || more.Position.From != 0 || more.Position.To != 1 {
		t.Errorf("%+v", more)
	}
	again := p.ProcessGroup(lines(1))[0].More[0]
	if again.Position.ID() != more.Position.ID() {
		t.Error("the part of a line that comes again has another id")
	}
	if st := s.List()[0]; st.Made != 3 {
		t.Errorf("%+v", st)
	}
	twice := p.ProcessGroup([]*event.Event{more})[0]
	if twice.Err != nil || twice.More[0].Position.ID() == more.Position.ID() {
		t.Errorf("%+v", twice)
	}
	p, _, _, err = step(t, rogue(t), "config: {mode: drop}\n")
	if err != nil {
		t.Fatal(err)
	}
	if o := p.ProcessGroup(lines(1))[0]; !o.Drop || o.Err != nil {
		t.Errorf("%+v", o)
	}
}

// TestKit: the kit finds what is wrong with a program that takes anything for a batch.
func TestKit(t *testing.T) {
	r := contract.Run(t.Context(), rogue(t), strictyaml.Node{}, slog.New(slog.DiscardHandler))
	last := r.Findings[len(r.Findings)-1]
	if r.OK() || last.Check != "bytes that are no batch" || last.Err == nil || r.Description.Name != "rogue" {
		t.Errorf("%+v", r)
	}
	r = contract.Run(t.Context(), "/no/such/file", strictyaml.Node{}, slog.New(slog.DiscardHandler))
	if r.OK() || len(r.Findings) != 1 {
		t.Errorf("%+v", r)
	}
}

// TestStarved: a program that gets too little memory to start says so in the list, with what was given, and the reason is memory.
func TestStarved(t *testing.T) {
	dir, err := os.MkdirTemp("", "starved-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "p")
	text := "#!/bin/sh\necho 'runtime/cgo: pthread_create failed: Resource temporarily unavailable' >&2\necho 'cs     0x33' >&2\nexit 2\n"
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	p, s, _, err := step(t, path, "memory: 48MiB\n")
	if err != nil {
		t.Fatal(err)
	}
	if o := p.ProcessGroup(lines(1))[0]; o.Err == nil || o.Drop {
		t.Errorf("%+v", o)
	}
	wait(t, "the reason of the end", func() bool {
		st := s.List()[0]
		return st.Ends["memory"] > 0 && strings.Contains(st.LastError, "more than 48 MiB") && strings.Contains(st.LastError, "pthread_create failed")
	})
}

// TestPlace: what is wrong with the file of a plugin is said of the place where the file is named, not of the step that uses it.
func TestPlace(t *testing.T) {
	n, err := strictyaml.Parse("test.yml", []byte("plugins:\n- name: r\n  path: /nowhere/r\n  checksum: sha256:"+strings.Repeat("1", 64)+"\nstep:\n  name: r\n"), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	s := host.New(host.Options{Log: slog.New(slog.DiscardHandler), Host: "test"})
	t.Cleanup(s.Close)
	d, err := s.Draft(n.At("plugins"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Processor(n.At("step")); err != nil {
		t.Fatal(err)
	}
	if err := d.Start(); err == nil || !strings.Contains(err.Error(), "test.yml:3: plugins[0].path: cannot find plugin") {
		t.Errorf("got %v", err)
	}
}
