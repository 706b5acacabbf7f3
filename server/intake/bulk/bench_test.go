package bulk

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/tallylog/tally/server/admit"
	"github.com/tallylog/tally/server/auth"
	"github.com/tallylog/tally/server/intake"
	"github.com/tallylog/tally/server/record"
)

// taker admits everything and keeps nothing.
type taker struct{}

func (taker) Admit(_ context.Context, b *record.Batch) (admit.Result, error) {
	return admit.Result{Accepted: len(b.Events)}, nil
}

// BenchmarkBulk takes requests of 1,000 documents as Filebeat sends them, up to admission.
func BenchmarkBulk(b *testing.B) {
	const n = 1000
	var body bytes.Buffer
	for i := range n {
		fmt.Fprintf(&body, `{"create":{"_index":"filebeat-7.17.29"}}`+"\n"+`{"@timestamp":"2025-11-22T01:02:03.123Z","message":"GET /cart/%d 200 in 13 ms","log":{"offset":%d,"file":{"path":"/var/log/app/a.log"}},"input":{"type":"log"},"host":{"name":"node-1"},"agent":{"name":"node-1","type":"filebeat","version":"7.17.29","id":"5a4f"},"ecs":{"version":"1.12.0"}}`+"\n", i, i*30)
	}
	h := &Handler{Admit: taker{}, Budget: intake.NewBudget(64 << 20), Limits: intake.DefaultLimits, Wait: time.Minute, Log: slog.New(slog.DiscardHandler)}
	ctx := auth.NewContext(b.Context(), auth.Principal{Name: "c", Role: auth.RolePush})
	b.SetBytes(int64(body.Len()))
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequestWithContext(ctx, "POST", "/_bulk", bytes.NewReader(body.Bytes()))
		r.Header.Set("Content-Type", "application/x-ndjson")
		w := httptest.NewRecorder()
		if h.bulk(w, r); w.Code != 200 {
			b.Fatal(w.Body)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
