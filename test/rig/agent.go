package rig

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Agent is a tallybeat, or a genuine Filebeat, that can be killed and started again on the same state.
type Agent struct {
	*Process
	t       testing.TB
	program string
	Home    string
	Env     []string
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
	a.Process = Start(a.t, a.Env, a.program, "-e", "-c", a.config, "--path.home", a.Home, "--strict.perms=false")
	return a
}
