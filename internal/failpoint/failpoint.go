package failpoint

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// EnvName is the environment variable that arms a place.
const EnvName = "TALLY_FAILPOINT"

// armed is what the environment says; it does not change while the process lives.
var armed, slow, left = read(os.Getenv(EnvName))

// read takes the variable apart. What cannot be read arms nothing.
func read(s string) (place string, slow time.Duration, left *atomic.Int64) {
	left = &atomic.Int64{}
	for _, part := range strings.Split(s, ",") {
		name, value, ok := strings.Cut(part, "=")
		if name == "slow" {
			slow, _ = time.ParseDuration(value)
		} else if n, err := strconv.ParseInt(value, 10, 64); ok && err == nil && n > 0 {
			place = name
			left.Store(n)
		}
	}
	return place, slow, left
}

// Here is a place where the process may be made to end.
func Here(place string) {
	if armed != "" && place == armed && left.Add(-1) == 0 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	}
}

// Sync is Here for the place before a sync, which may be made slow as well.
func Sync(place string) {
	if slow > 0 {
		time.Sleep(slow)
	}
	Here(place)
}
