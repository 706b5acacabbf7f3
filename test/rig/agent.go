package rig

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// Agent is a tallybeat, or a genuine Filebeat, that can be killed and started again on the same state.
type Agent struct {
	*Process
	t       testing.TB
	program string
	Home    string
	Env     []string
	Under   []string // a command that becomes the agent: WithoutStatx, OtherDevice
	config  string
}

// NewAgent prepares a tallybeat: inputs is the YAML list below tallybeat.inputs. Start starts it.
func NewAgent(t testing.TB, server, inputs string) *Agent {
	t.Helper()
	return newAgent(t, Tallybeat(t), "tallybeat", server, inputs)
}

// NewFilebeat prepares a genuine Filebeat 7.17.29 likewise.
func NewFilebeat(t testing.TB, server, inputs string) *Agent {
	t.Helper()
	return newAgent(t, Filebeat(t), "filebeat", server, inputs)
}

func newAgent(t testing.TB, program, name, server, inputs string) *Agent {
	t.Helper()
	a := &Agent{t: t, program: program, Home: t.TempDir()}
	a.config = filepath.Join(a.Home, name+".yml")
	text := fmt.Sprintf(`%s.inputs:
%s
queue.mem: {events: 8192, flush.min_events: 1024, flush.timeout: 100ms}
output.logstash:
  hosts: ["%s"]
  bulk_max_size: 1024
  compression_level: 3
  backoff: {init: 100ms, max: 1s}
`, name, inputs, server)
	if err := os.WriteFile(a.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// Start starts the agent.
func (a *Agent) Start() *Agent {
	a.t.Helper()
	cmd := append(slices.Clip(a.Under), a.program, "-e", "-c", a.config, "--path.home", a.Home, "--strict.perms=false")
	a.Process = Start(a.t, a.Env, cmd[0], cmd[1:]...)
	return a
}

// Forget takes the agent's state away.
func (a *Agent) Forget() {
	a.t.Helper()
	if err := os.RemoveAll(filepath.Join(a.Home, "data")); err != nil {
		a.t.Fatal(err)
	}
}

// Save copies the agent's state; restore puts it back.
func (a *Agent) Save() (restore func()) {
	a.t.Helper()
	data, kept := filepath.Join(a.Home, "data"), filepath.Join(a.t.TempDir(), "data")
	if err := os.CopyFS(kept, os.DirFS(data)); err != nil {
		a.t.Fatal(err)
	}
	return func() {
		a.t.Helper()
		a.Forget()
		if err := os.CopyFS(data, os.DirFS(kept)); err != nil {
			a.t.Fatal(err)
		}
	}
}

// WithoutStatx is a kernel that does not know when files were born.
func WithoutStatx(t testing.TB) []string {
	t.Helper()
	return []string{Program(t, "./test/rig/nostatx", "nostatx")}
}

// OtherDevice is a machine on which dir is on a device of another number than here, with the same files and inodes, as after a reboot: an
// overlay in a namespace of its own. What changes in dir later is not seen. It is empty where the kernel allows no such thing.
func OtherDevice(t testing.TB, dir string) []string {
	t.Helper()
	const mount = `mount -t overlay overlay -o "lowerdir=$0:$1" "$0" || exit 9; shift; exec "$@"`
	under := []string{"unshare", "-Urm", "sh", "-c", mount, dir, t.TempDir()}
	there, err := exec.Command(under[0], append(under[1:], "stat", "-c", "%d %i", dir)...).CombinedOutput()
	here, herr := exec.Command("stat", "-c", "%d %i", dir).Output()
	if err != nil || herr != nil || bytes.Equal(there, here) {
		t.Logf("the kernel gives %s no other device number: %s %v %v", dir, there, err, herr)
		return nil
	}
	return under
}
