// Command mage is github.com/magefile/mage with one thing added: what asks it to end also asks the target it runs. mage 1.17
// takes SIGINT and passes it to nobody, so a signal sent to "go tool mage run" alone, and not to its process group as a
// terminal does, would be lost.
package main

import (
	"bytes"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/magefile/mage/mage"
)

func main() {
	asked := make(chan os.Signal, 4)
	signal.Notify(asked, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		for s := range asked {
			for _, pid := range children() {
				_ = syscall.Kill(pid, s.(syscall.Signal)) // it may have ended in this moment
			}
		}
	}()
	os.Exit(mage.Main())
}

// children are the processes whose parent is this one: field 4 of /proc/PID/stat (man 5 proc).
func children() (pids []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(fields) < 2 || fields[1] != fmt.Sprint(os.Getpid()) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
