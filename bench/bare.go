package main

import (
	"fmt"
	"syscall"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/logstorage"
)

// storeBare puts n events into a logstorage without anything around it, and times the queries on them. The CPU time is that of the storing alone: what it
// takes to make the events up is measured first and taken off.
func storeBare(dir string, n int) (measure, error) {
	base := time.Now()
	made := cpuOfSelf()
	each(base, n, nil)
	made = cpuOfSelf() - made

	began, cpu := time.Now(), cpuOfSelf()
	s := logstorage.MustOpenStorage(dir, bareConfig())
	raw := each(base, n, s)
	s.MustClose()
	m := measure{Events: n, Seconds: time.Since(began).Seconds(), CPUSeconds: cpuOfSelf() - cpu - made}
	disk, err := size(dir)
	if err != nil {
		return measure{}, err
	}
	m.DiskPerRaw = float64(disk) / float64(raw)
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return measure{}, fmt.Errorf("cannot read the memory used: %w", err)
	}
	m.PeakRSS = u.Maxrss << 10
	s = logstorage.MustOpenStorage(dir, bareConfig())
	defer s.MustClose()
	if _, err := settle(func() (float64, error) { return cpuOfSelf(), nil }); err != nil {
		return measure{}, err
	}
	m.QueryMillis, err = medians(func(q query) error { _, _, err := askBare(s, q.bare); return err })
	return m, err
}

func bareConfig() *logstorage.StorageConfig {
	return &logstorage.StorageConfig{Retention: 30 * 24 * time.Hour, FlushInterval: 5 * time.Second}
}

// each makes the events, stores them in batches of batchEvents unless s is nil, and returns their size as JSON in bytes.
func each(base time.Time, n int, s *logstorage.Storage) (raw int64) {
	streamFields := []string{"kubernetes.namespace", "kubernetes.container.name"}
	var fs []field
	var text []byte
	rows := logstorage.GetLogRows(streamFields, nil, nil, nil, "")
	defer logstorage.PutLogRows(rows)
	for i := range n {
		fs = appendFields(fs[:0], i)
		at := eventTime(base, i, n)
		// LogRows keeps what it is given until it is reset.
		out := make([]logstorage.Field, 0, len(fs))
		for _, f := range fs {
			name := f.name
			if name == "message" {
				name = "_msg"
			}
			out = append(out, logstorage.Field{Name: name, Value: f.value})
		}
		text = appendJSON(text[:0], fs, at, i)
		raw += int64(len(text))
		if s == nil {
			continue
		}
		rows.MustAdd(logstorage.TenantID{}, at.UnixNano(), out, nil)
		if (i+1)%batchEvents == 0 || i+1 == n {
			s.MustAddRows(rows)
			rows.ResetKeepSettings()
		}
	}
	return raw
}

// cpuOfSelf is the CPU time of this process in seconds.
func cpuOfSelf() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // the arguments are constants
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
