package failpoint

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

func TestRead(t *testing.T) {
	f := func(s, place string, slow time.Duration, left int64) {
		t.Helper()
		p, d, n := read(s)
		if p != place || d != slow || n.Load() != left {
			t.Errorf("%q: %q %v %d", s, p, d, n.Load())
		}
	}
	f("", "", 0, 0)
	f("a.b=3", "a.b", 0, 3)
	f("a.b=3,slow=5ms", "a.b", 5*time.Millisecond, 3)
	f("slow=5ms", "", 5*time.Millisecond, 0)
	f("a.b", "", 0, 0)
	f("a.b=0", "", 0, 0)
	f("a.b=x", "", 0, 0)
}

// TestEnds runs itself as a child that visits two places.
func TestEnds(t *testing.T) {
	if os.Getenv("TALLY_FAILPOINT_CHILD") != "" {
		for range 3 {
			Here("other")
			Here("place")
		}
		os.Exit(7)
	}
	for env, killed := range map[string]bool{"place=3": true, "place=4": false, "nowhere=1": false, "": false} {
		cmd := exec.Command(os.Args[0], "-test.run", "TestEnds")
		cmd.Env = append(os.Environ(), "TALLY_FAILPOINT_CHILD=1", EnvName+"="+env)
		var exit *exec.ExitError
		if err := cmd.Run(); !errors.As(err, &exit) {
			t.Fatalf("%q: %v", env, err)
		}
		status := exit.Sys().(syscall.WaitStatus)
		if got := status.Signaled() && status.Signal() == syscall.SIGKILL; got != killed || !killed && status.ExitStatus() != 7 {
			t.Errorf("%q: %v", env, exit)
		}
	}
}

func BenchmarkHere(b *testing.B) {
	for b.Loop() {
		Here("place")
	}
}
