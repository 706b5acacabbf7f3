package dropevent

import (
	"testing"

	"github.com/tallylog/tally/processors/processortest"
)

func TestKit(t *testing.T) { processortest.Check(t, "drop_event", New) }

func TestProcess(t *testing.T) { processortest.Rows(t, New)(`{}`, `{"a":1}`, `dropped`) }

func BenchmarkProcess(b *testing.B) {
	processortest.Bench(b, processortest.Make(b, New, `{}`), `{"message":"m"}`)
}
