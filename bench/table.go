package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// measure is one row of the table.
type measure struct {
	Name         string             `json:"name"`
	Events       int                `json:"events"`
	Seconds      float64            `json:"seconds"`
	CPUSeconds   float64            `json:"cpu_seconds"`
	PeakRSS      int64              `json:"peak_rss_bytes"`
	DiskPerRaw   float64            `json:"disk_per_raw_byte,omitempty"`
	BufferPerRaw float64            `json:"buffer_per_raw_byte,omitempty"` // of the server's WAL alone
	TextBytes    int64              `json:"text_bytes,omitempty"`          // of the messages alone
	QueryMillis  map[string]float64 `json:"query_ms,omitempty"`
}

// perCPU is events for each second of CPU time.
func (m measure) perCPU() float64 {
	if m.CPUSeconds <= 0 {
		return 0
	}
	return float64(m.Events) / m.CPUSeconds
}

// table prints one row a measure, then the latencies of queries and how the server compares with the bare store.
func table(out io.Writer, all []measure) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tevents\tseconds\tevents/s\tCPU s\tevents/CPU s\tpeak RSS MB\tdisk, of raw\t")
	byName := map[string]measure{}
	for _, m := range all {
		byName[m.Name] = m
		disk := "–"
		if m.DiskPerRaw > 0 {
			disk = fmt.Sprintf("%.1f %%", 100*m.DiskPerRaw)
		}
		fmt.Fprintf(w, "%s\t%d\t%.1f\t%.0f\t%.1f\t%.0f\t%.0f\t%s\t\n", m.Name, m.Events, m.Seconds, float64(m.Events)/m.Seconds,
			m.CPUSeconds, m.perCPU(), float64(m.PeakRSS)/1e6, disk)
	}
	w.Flush()
	fmt.Fprintln(out)
	for _, pair := range [][2]string{
		{nameFilestream, nameFilebeat}, {nameLog, nameFilebeatLog}, {nameJournald, nameFilebeatJournald},
	} {
		if ours, other := byName[pair[0]], byName[pair[1]]; other.CPUSeconds > 0 && ours.CPUSeconds > 0 {
			fmt.Fprintf(out, "%s beside %s: %.2f times its events per CPU second, %.2f times its memory\n", pair[0], pair[1],
				ours.perCPU()/other.perCPU(), float64(ours.PeakRSS)/float64(other.PeakRSS))
		}
	}
	for _, how := range []string{"", nameDefaults} {
		if ours, other := byName[nameApplog+how], byName[nameFilebeat+how]; ours.CPUSeconds > 0 && other.CPUSeconds > 0 {
			fmt.Fprintf(out, "%s beside %s: %.1f times its events per CPU second\n", ours.Name, other.Name, ours.perCPU()/other.perCPU())
		}
	}
	for _, name := range []string{nameApplog, nameFilestream} {
		if one, two := byName[name], byName[name+nameTwo]; one.CPUSeconds > 0 && two.CPUSeconds > 0 {
			fmt.Fprintf(out, "%s to two outputs: %.2f times the CPU time of one\n", name, two.CPUSeconds/one.CPUSeconds)
		}
	}
	server, bare := byName[nameServer], byName[nameBare]
	if server.Events == 0 {
		return
	}
	fmt.Fprintf(out, "\nserver beside the bare store: %.0f %% of its rows per CPU second; its buffer holds %.1f %% of raw\n",
		100*server.perCPU()/bare.perCPU(), 100*server.BufferPerRaw)
	if n := byName[nameNginx]; n.CPUSeconds > 0 {
		fmt.Fprintf(out, "nginx pipeline, from Lumberjack to durable: %.1f MB of log text a second and core\n", float64(n.TextBytes)/1e6/n.CPUSeconds)
	}
	latencies(out, server, bare)
}
