package embedded

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/logger"
)

// logstorage logs through one logger for the whole process, so its lines go to the store that was opened last.
var (
	logTo     atomic.Pointer[slog.Logger]
	routeOnce sync.Once
)

// routeLogs sends what logstorage logs to log. The output of its logger is a plain variable without a lock: it is set once,
// before the first storage of the process starts a goroutine that could read it.
func routeLogs(log *slog.Logger) {
	logTo.Store(log)
	routeOnce.Do(func() { logger.SetOutputForTests(lineWriter{}) })
}

// lineWriter takes lines of "time TAB level TAB file:line TAB message", one a call.
type lineWriter struct{}

func (lineWriter) Write(p []byte) (int, error) {
	level, from, msg := slog.LevelInfo, "", strings.TrimSpace(string(p))
	if part := strings.SplitN(msg, "\t", 4); len(part) == 4 {
		from, msg = part[2], part[3]
		switch part[1] {
		case "info":
			level = slog.LevelDebug // of interest to those who work on the storage, hardly to operators
		case "warn":
			level = slog.LevelWarn
		case "error", "fatal", "panic":
			level = slog.LevelError
		}
	}
	logTo.Load().Log(context.Background(), level, msg, "from", from)
	return len(p), nil
}
