package beat

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
)

// limitShare of the control group's memory limit is what garbage collection tries hard to stay below, in percent.
const limitShare = 80

// tuneMemory sets how Go collects garbage, as far as the environment does not say it. Where the kernel bounds the process's
// memory, as it does in a pod with a limit, the collector is told of the bound.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		govern()
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		if limit := memoryLimit("/proc/self/cgroup", "/sys/fs/cgroup"); limit > 0 {
			debug.SetMemoryLimit(limit / 100 * limitShare)
		}
	}
}

// memoryLimit is the memory limit of this process's control group in bytes, 0 where there is none: memory.max of version 2 and
// memory.limit_in_bytes of version 1, of the group and of those above it (cgroups(7)).
func memoryLimit(self, root string) (limit int64) {
	text, _ := os.ReadFile(self) // without it the root of what the container sees is looked at
	groups := map[string]string{filepath.Join(root, "memory.max"): "", filepath.Join(root, "memory/memory.limit_in_bytes"): ""}
	for _, line := range strings.Split(string(text), "\n") {
		_, rest, _ := strings.Cut(line, ":")
		controllers, path, ok := strings.Cut(rest, ":")
		if !ok {
			continue
		}
		for dir := filepath.Clean("/" + path); dir != "/"; dir = filepath.Dir(dir) {
			if controllers == "" {
				groups[filepath.Join(root, dir, "memory.max")] = ""
			} else if strings.Contains(","+controllers+",", ",memory,") {
				groups[filepath.Join(root, "memory", dir, "memory.limit_in_bytes")] = ""
			}
		}
	}
	for name := range groups {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		// Version 2 says "max" for no limit, version 1 a number near 2^63.
		n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if err == nil && n > 0 && n < 1<<60 && (limit == 0 || n < limit) {
			limit = n
		}
	}
	return limit
}
