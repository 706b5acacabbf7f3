package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/logstorage"
)

func TestLines(t *testing.T) {
	for _, i := range []int{0, 1, 999_999, 123_456_789} {
		if n := len(appendLine(nil, i)); n != lineBytes {
			t.Errorf("line %d has %d bytes, want %d", i, n, lineBytes)
		}
	}
}

// Positions must not repeat or overlap, or the server would rightly store less than was sent.
func TestEvents(t *testing.T) {
	ends := map[string]int64{}
	rare := 0
	base := time.Now()
	for i := range rareEvery {
		fs := appendFields(nil, i)
		var e struct {
			Timestamp time.Time `json:"@timestamp"`
			Message   string    `json:"message"`
			Metadata  struct {
				Tally struct {
					Source   string
					From, To int64
				}
			} `json:"@metadata"`
		}
		if err := json.Unmarshal(appendJSON(nil, fs, eventTime(base, i, rareEvery), i), &e); err != nil {
			t.Fatal(err)
		}
		p := e.Metadata.Tally
		if p.From != ends[p.Source] || p.To <= p.From {
			t.Fatalf("event %d is [%d, %d) of %s, which ended at %d", i, p.From, p.To, p.Source, ends[p.Source])
		}
		ends[p.Source] = p.To
		if strings.Contains(e.Message, "zebrafish") {
			rare++
		}
	}
	if len(ends) != 200 || rare != 1 {
		t.Errorf("%d sources and %d events with the rare word, want 200 and 1", len(ends), rare)
	}
}

func TestProcess(t *testing.T) {
	p, err := start(t.TempDir()+"/log", nil, "sh", "-c", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo ready; exec sleep 60")
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if text, _ := os.ReadFile(p.log); strings.Contains(string(text), "ready") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the loop did not end")
		}
	}
	cpu, err := p.cpu()
	if err != nil || cpu <= 0 || cpu > 60 {
		t.Errorf("%v seconds of CPU time, %v", cpu, err)
	}
	rss, err := p.peakRSS()
	for deadline := time.Now().Add(time.Minute); err == nil && rss < 100<<10 && time.Now().Before(deadline); rss, err = p.peakRSS() {
		time.Sleep(10 * time.Millisecond) // sleep has only just begun
	}
	if err != nil || rss < 100<<10 || rss > 1<<30 {
		t.Errorf("%d bytes of memory, %v", rss, err)
	}
}

func TestBare(t *testing.T) {
	dir := t.TempDir()
	m, err := storeBare(dir, 10_000)
	if err != nil || m.Events != 10_000 || m.DiskPerRaw <= 0 || m.DiskPerRaw > 1 || len(m.QueryMillis) != len(queries) {
		t.Errorf("%+v, %v", m, err)
	}
	s := logstorage.MustOpenStorage(dir, bareConfig())
	defer s.MustClose()
	want := map[string]int{newest: 100, "rare word": 0, "phrase": 100, "phrase count": 1, "count by level": 4}
	for _, q := range queries {
		if rows, bytes, err := askBare(s, q.bare); err != nil || rows != want[q.name] || rows > 0 && bytes == 0 {
			t.Errorf("%s: %d rows, want %d (%v)", q.name, rows, want[q.name], err)
		}
	}
}
