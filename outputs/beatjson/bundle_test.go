package beatjson

import (
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/publisher"

	"github.com/tallylog/tally/outputs/bundle"
)

// A line of a bundle has the content that the expanded event has, whatever the shared fields are.
func TestLineIsExpandedEvent(t *testing.T) {
	ours := New("Tallybeat", "7.17.29", false)
	rapid.Check(t, func(r *rapid.T) {
		fields := common.MapStr{}
		for range rapid.IntRange(0, 4).Draw(r, "fields") {
			fields[rapid.SampledFrom([]string{"a", "@timestamp", "@metadata", "message", "log", "\"q\""}).Draw(r, "key")] = values().Draw(r, "value")
		}
		if rapid.Bool().Draw(r, "log") {
			log := common.MapStr{}
			for _, k := range rapid.SliceOfN(rapid.SampledFrom([]string{"file", "offset", "x"}), 0, 3).Draw(r, "keys") {
				log[k] = values().Draw(r, "v")
			}
			fields["log"] = log
		}
		var meta common.MapStr
		if rapid.Bool().Draw(r, "meta") {
			meta = common.MapStr{"raw_index": "x", "tally": common.MapStr{"old": 1}, "y": values().Draw(r, "y")}
		}
		b := &bundle.Bundle{Source: rapid.String().Draw(r, "source")}
		for range rapid.IntRange(1, 4).Draw(r, "lines") {
			b.Lines = append(b.Lines, bundle.Line{
				From: rapid.Int64().Draw(r, "from"), To: rapid.Int64().Draw(r, "to"), Skipped: rapid.Int64().Draw(r, "skipped"),
				Sum: rapid.Uint64().Draw(r, "sum"), Message: rapid.String().Draw(r, "message"),
				Time: rapid.OneOf(rapid.Just(int64(0)), rapid.Int64(), rapid.Int64Range(1e15, 1e15+3e6)).Draw(r, "its time"),
			})
		}
		ev := beat.Event{Timestamp: time.Unix(rapid.Int64Range(-1e12, 1e12).Draw(r, "time"), 0), Meta: meta, Fields: fields, Private: b}
		for i, want := range bundle.Expand([]publisher.Event{{Content: ev}}) {
			got := content(r, ours.AppendLine(nil, &ev, b, i))
			if wanted := content(r, ours.Append(nil, &want.Content)); !reflect.DeepEqual(got, wanted) {
				r.Fatalf("line %d\n%v\nwant\n%v", i, got, wanted)
			}
		}
	})
}
