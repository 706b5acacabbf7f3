package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/logstorage"
)

// query is one question in two forms: to the server over HTTP, and to the bare store in its own language. Both give the same
// rows in the same order.
type query struct{ name, path, bare string }

const newest = "newest 100"

// queries are timed on what was loaded.
var queries = []query{
	{newest, "/api/v1/query?" + url.Values{"query": {"*"}, "limit": {"100"}}.Encode(), `* | sort by (_time desc) limit 100`},
	{"rare word", "/api/v1/query?" + url.Values{"query": {"zebrafish"}}.Encode(), `zebrafish | sort by (_time desc) limit 1000`},
	{"phrase", "/api/v1/query?" + url.Values{"query": {`"connection refused by peer"`}, "limit": {"100"}}.Encode(), `"connection refused by peer" | sort by (_time desc) limit 100`},
	{"phrase count", "/api/v1/count?" + url.Values{"query": {`"connection refused by peer"`}}.Encode(), `"connection refused by peer" | stats count()`},
	{"count by level", "/api/v1/stats?" + url.Values{"query": {"*"}, "fn": {"count"}, "by": {"level"}}.Encode(), `* | stats by (level) count()`},
}

// What is wanted of the server: its time over that of the bare store, and the milliseconds of the newest events of everything.
const (
	wantRatio  = 1.3
	wantNewest = 200
)

// medians takes the median of several runs of each query, in milliseconds.
func medians(run func(query) error) (map[string]float64, error) {
	out := map[string]float64{}
	for _, q := range queries {
		var took []float64
		for range 7 {
			began := time.Now()
			if err := run(q); err != nil {
				return nil, err
			}
			took = append(took, float64(time.Since(began).Microseconds())/1000)
		}
		slices.Sort(took)
		out[q.name] = took[len(took)/2]
	}
	return out, nil
}

// askBare runs a query on a bare store and looks at every value of the answer.
func askBare(s *logstorage.Storage, text string) (rows, bytes int, err error) {
	q, err := logstorage.ParseQuery(text)
	if err != nil {
		return 0, 0, fmt.Errorf("cannot compile %q: %w", text, err)
	}
	var mu sync.Mutex // logstorage calls back from all of its workers
	err = s.RunQuery(context.Background(), []logstorage.TenantID{{}}, q, func(_ uint, b *logstorage.DataBlock) {
		mu.Lock()
		defer mu.Unlock()
		rows += b.RowsCount()
		for _, c := range b.Columns {
			for _, v := range c.Values {
				bytes += len(v)
			}
		}
	})
	if err != nil {
		return 0, 0, fmt.Errorf("cannot run %q: %w", text, err)
	}
	return rows, bytes, nil
}

// settle waits until a program uses next to no CPU, that is, has merged and taken its checkpoint, and returns its CPU time.
func settle(cpu func() (float64, error)) (float64, error) {
	before, err := cpu()
	for deadline := time.Now().Add(2 * time.Minute); err == nil && time.Now().Before(deadline); {
		time.Sleep(3 * time.Second)
		var now float64
		if now, err = cpu(); err == nil && now-before < 0.15 {
			return now, nil
		}
		before = now
	}
	return before, err
}

// latencies prints the times of the server beside those of the bare store, and where they are over what is wanted.
func latencies(out io.Writer, server, bare measure) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tserver, HTTP, ms\tbare, ms\tratio\t\t")
	for _, q := range queries {
		s, b := server.QueryMillis[q.name], bare.QueryMillis[q.name]
		verdict := ""
		if s > wantRatio*b {
			verdict = fmt.Sprintf("over %.1f", wantRatio)
		}
		if q.name == newest && s > wantNewest {
			verdict += fmt.Sprintf(" over %d ms", wantNewest)
		}
		fmt.Fprintf(w, "%s\t%.1f\t%.1f\t%.2f\t%s\t\n", q.name, s, b, s/b, verdict)
	}
	w.Flush()
}
