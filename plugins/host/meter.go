package host

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// Bounds on what a plugin writes to its standard output and error.
const (
	maxOutput = 1 << 20 // bytes a second; more ends the program
	maxLines  = 10      // lines a second that go to the log
	maxLine   = 500     // bytes of a line there
	lastLines = 3       // that are kept for the list of plugins
)

// meter takes a plugin's output to the log, and ends the plugin when it is too much.
type meter struct {
	log   *slog.Logger
	flood func()

	mu          sync.Mutex
	second      time.Time
	bytes       int
	lines, left int
	partial     []byte
	recent      []string
	crash       string
}

func (m *meter) reader(r io.ReadCloser) io.ReadCloser { return &metered{r, m} }

type metered struct {
	io.ReadCloser
	m *meter
}

func (r *metered) Read(b []byte) (int, error) {
	n, err := r.ReadCloser.Read(b)
	r.m.count(n)
	return n, err
}

func (m *meter) count(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := time.Now(); now.Sub(m.second) >= time.Second {
		if m.left > 0 {
			m.log.Warn("the plugin writes too much to be logged", "lines", m.left)
		}
		m.second, m.bytes, m.lines, m.left = now, 0, 0, 0
	}
	before := m.bytes
	if m.bytes += n; m.bytes > maxOutput && before <= maxOutput {
		go m.flood()
	}
}

// Write takes text of a plugin; go-plugin gives it what came over a pipe.
func (m *meter) Write(b []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := len(b)
	for len(b) > 0 {
		line, rest, whole := bytes.Cut(b, []byte{'\n'})
		if room := maxLine - len(m.partial); room > 0 {
			m.partial = append(m.partial, line[:min(room, len(line))]...)
		}
		if b = rest; whole {
			m.line()
		}
	}
	return n, nil
}

func (m *meter) line() {
	s := strings.ToValidUTF8(strings.TrimSpace(string(m.partial)), "\uFFFD")
	m.partial = m.partial[:0]
	if s == "" {
		return
	}
	for _, word := range []string{"panic: ", "fatal error: ", "runtime/cgo: "} { // a Go program's, before all its stacks
		if strings.HasPrefix(s, word) {
			m.crash = s
		}
	}
	if m.recent = append(m.recent, s); len(m.recent) > lastLines {
		m.recent = m.recent[1:]
	}
	if m.lines++; m.lines > maxLines {
		m.left++
		return
	}
	m.log.Info("the plugin says", "text", s)
}

// streamed is Write for what came over gRPC, where it has not been counted.
type streamed struct{ m *meter }

func (s streamed) Write(b []byte) (int, error) {
	s.m.count(len(b))
	return s.m.Write(b)
}

// last is what the plugin has written last.
func (m *meter) last() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.crash != "" {
		return m.crash
	}
	return strings.Join(m.recent, "; ")
}
