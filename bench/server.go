package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	lumber "github.com/elastic/go-lumber/client/v2"
)

const (
	nameServer = "tally serve, from Lumberjack"
	nameNginx  = "tally serve, nginx pipeline"
	nameBare   = "bare logstorage 1.121.0"

	batchEvents = 2048
	inFlight    = 4 // batches on their way
	password    = "bench-password-of-this-run"
)

// servers measures tally serve and the bare store with the same events.
func servers(dir string, rows int) ([]measure, error) {
	fmt.Printf("%s: %d events\n", nameBare, rows)
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot find this program: %w", err)
	}
	cmd := exec.Command(self, "-bare", filepath.Join(dir, "bare"), "-rows", strconv.Itoa(rows))
	cmd.Stderr = io.Discard // the store's own log
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("cannot measure the bare store: %w", err)
	}
	bare := measure{}
	if err := json.Unmarshal(text, &bare); err != nil {
		return nil, fmt.Errorf("cannot read the figures of the bare store: %w", err)
	}
	bare.Name = nameBare
	fmt.Printf("%s: %d events\n", nameServer, rows)
	m, err := serve(filepath.Join(dir, "server"), rows, plainLoad)
	if err != nil {
		return nil, err
	}
	m.Name = nameServer
	fmt.Printf("%s: %d events\n", nameNginx, rows/2)
	n, err := serve(filepath.Join(dir, "nginx"), rows/2, nginxLoad)
	if err != nil {
		return nil, err
	}
	n.Name = nameNginx
	return []measure{bare, m, n}, nil
}

// freeAddr is an address of the loopback interface whose port was free a moment ago.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("cannot listen: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// server is a running tally serve.
type server struct {
	*process
	url string
}

func serve(dir string, rows int, l load) (measure, error) {
	fail := func(err error) (measure, error) { return measure{}, err }
	web, err := freeAddr()
	if err != nil {
		return fail(err)
	}
	lumberjack, err := freeAddr()
	if err != nil {
		return fail(err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fail(fmt.Errorf("cannot make the server's folder: %w", err))
	}
	data := filepath.Join(dir, "data")
	config := filepath.Join(dir, "tally.yml")
	if err := os.WriteFile(config, []byte(l.config), 0o600); err != nil {
		return fail(fmt.Errorf("cannot write the server's configuration: %w", err))
	}
	p, err := start(filepath.Join(dir, "log"), []string{"TALLY_ADMIN_PASSWORD=" + password}, "build/tally", "serve", "-c", config,
		"--data", data, "--http", web, "--lumberjack", lumberjack)
	if err != nil {
		return fail(err)
	}
	defer p.stop()
	s := &server{p, "http://" + web}
	if err := s.until("ready", time.Minute, func() bool { _, err := s.get("/readyz"); return err == nil }); err != nil {
		return fail(err)
	}
	idle, err := s.cpu()
	if err != nil {
		return fail(err)
	}
	began := time.Now()
	raw, text, err := send(lumberjack, rows, l)
	if err != nil {
		return fail(s.failed(err.Error()))
	}
	if err := s.until("visible", patience, func() bool { n, err := s.count(); return err == nil && n >= rows }); err != nil {
		return fail(err)
	}
	m := measure{Events: rows, Seconds: time.Since(began).Seconds(), TextBytes: text}
	if n, err := s.count(); err != nil || n != rows {
		return fail(s.failed(fmt.Sprintf("%d events are stored, %d were sent (%v)", n, rows, err)))
	}
	if m.CPUSeconds, err = settle(s.cpu); err != nil {
		return fail(err)
	}
	m.CPUSeconds -= idle
	if m.PeakRSS, err = s.peakRSS(); err != nil {
		return fail(err)
	}
	disk, err := size(data)
	if err != nil {
		return fail(err)
	}
	buffer, err := size(filepath.Join(data, "wal"))
	if err != nil {
		return fail(err)
	}
	m.DiskPerRaw, m.BufferPerRaw = float64(disk-buffer)/float64(raw), float64(buffer)/float64(raw)
	if l.check != "" {
		body, err := s.get("/api/v1/count?" + url.Values{"query": {l.check}}.Encode())
		if err != nil || !strings.Contains(string(body), fmt.Sprintf(`"count":%d`, rows)) {
			return fail(s.failed(fmt.Sprintf("%s of the %d events have what the pipeline gives them (%v)", body, rows, err)))
		}
		return m, nil
	}
	m.QueryMillis, err = medians(func(q query) error { _, err := s.get(q.path); return err })
	return m, err
}

// send ships the events over one Lumberjack connection and returns, when all are acknowledged, their size in bytes, and that of
// their texts alone.
func send(addr string, rows int, l load) (raw, text int64, err error) {
	c, err := lumber.AsyncDial(addr, inFlight, lumber.CompressionLevel(3), lumber.Timeout(2*time.Minute),
		lumber.JSONEncoder(func(v any) ([]byte, error) { return v.([]byte), nil }))
	if err != nil {
		return 0, 0, fmt.Errorf("cannot connect to the server: %w", err)
	}
	defer c.Close()
	base := time.Now()
	batches := (rows + batchEvents - 1) / batchEvents
	acked := make(chan error, batches)
	var fs []field
	for from := 0; from < rows; from += batchEvents {
		batch := make([]any, 0, batchEvents)
		for i := from; i < min(rows, from+batchEvents); i++ {
			fs = l.fields(fs[:0], i)
			text += int64(len(fs[0].value))
			line := appendJSON(nil, fs, eventTime(base, i, rows), i)
			raw += int64(len(line))
			batch = append(batch, line)
		}
		if err := c.Send(func(_ uint32, err error) { acked <- err }, batch); err != nil {
			return 0, 0, fmt.Errorf("cannot send: %w", err)
		}
	}
	for range batches {
		if err := <-acked; err != nil {
			return 0, 0, fmt.Errorf("a batch was not acknowledged: %w", err)
		}
	}
	return raw, text, nil
}

func (s *server) get(path string) ([]byte, error) {
	req, err := http.NewRequest(http.MethodGet, s.url+path, nil)
	if err != nil {
		return nil, fmt.Errorf("cannot ask for %q: %w", path, err)
	}
	req.SetBasicAuth("admin", password)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("cannot ask for %q: %w", path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("cannot read the answer to %q: %w", path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("cannot ask for %q: %s: %s", path, resp.Status, body)
	}
	return body, nil
}

func (s *server) count() (int, error) {
	body, err := s.get("/api/v1/count?query=*")
	if err != nil {
		return 0, err
	}
	var answer struct {
		Count int `json:"count"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return 0, fmt.Errorf("cannot read a count: %w", err)
	}
	return answer.Count, nil
}

// until asks four times a second, which costs the server little, until ok.
func (s *server) until(what string, patience time.Duration, ok func() bool) error {
	for deadline := time.Now().Add(patience); !ok(); {
		select {
		case <-s.done:
			return s.failed("ended by itself")
		case <-time.After(250 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return s.failed(fmt.Sprintf("not %s within %v", what, patience))
		}
	}
	return nil
}
