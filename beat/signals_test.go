package beat

import "testing"

func TestSignalDuringStart(t *testing.T) {
	var e early
	stopped := 0
	if !e.take() {
		t.Error("a signal before the beat runs is not kept")
	}
	if e.run(func() { stopped++ }); stopped != 1 {
		t.Errorf("stopped %d times", stopped)
	}
	if e.take() || stopped != 1 {
		t.Error("a signal is kept while the beat runs, when libbeat has it")
	}
}

// A process that is asked to end before libbeat listens ends as one that ran: with 0, or with the error that it has met.
func TestSignalAtOnce(t *testing.T) {
	f := func(inputs string, want int) {
		t.Helper()
		cmd, out := agent(t, t.TempDir(), write(t, "tallybeat.inputs: "+inputs+"\noutput.console: {}\n"), "-e")
		cmd.Env = append(cmd.Env, signalAtOnce+"=1")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != want {
			t.Errorf("with the inputs %s the agent ends with %d, want %d:\n%s", inputs, code, want, out)
		}
	}
	f("[{type: log, paths: [/nowhere/x]}]", 0)
	f("[{type: nosuch}]", 1)
}
