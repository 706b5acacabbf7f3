package event

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tallylog/tally/ledger"
)

// controls are well-formed control records, one of each kind and of each doubtful form.
var controls = []string{
	`{"@metadata":{"tally":{"control":"lost","source":"s","from":3,"to":9,"reason":"vacuumed"}}}`,
	`{"@metadata":{"tally":{"control":"lost","source":"s","from":3,"to":null,"reason":"the dog ate it"}}}`,
	`{"@metadata":{"tally":{"control":"skipped","source":"s","from":0,"to":4}}}`,
	`{"@metadata":{"tally":{"control":"complete","source":"s","to":100,"name":"/var/log/x"}}}`,
	`{"@metadata":{"tally":{"control":"status","source":"agent:a","status":{"version":"1","lag":7}}}}`,
}

// checkControl holds what nobody behind the decoder checks again.
func checkControl(t testing.TB, c *Control) {
	t.Helper()
	r := c.Range
	ends := r.To > r.From || c.Kind == ControlLost && r.To == 0 || c.Kind == ControlComplete && r.To >= 0 || c.Kind == ControlStatus
	if c.Source == "" || len(c.Source) > 512 || r.From < 0 || r.To > ledger.MaxOffset || !ends ||
		len(c.Name) > maxTitle || len(c.Detail) > maxDetail || len(c.Status) > maxStatus ||
		c.Kind == ControlLost && !slices.Contains(Reasons(), c.Reason) {
		t.Fatalf("out of bounds: %+v", c)
	}
}

func TestControl(t *testing.T) {
	want := []string{
		"{lost s {3 9} vacuumed   }",
		"{lost s {3 0} missing the dog ate it  }",
		"{skipped s {0 4}    }",
		"{complete s {0 100}   /var/log/x }",
		`{status agent:a {0 0}    {"version":"1","lag":7}}`,
	}
	var d Decoder
	for i, in := range controls {
		e, err := d.Decode([]byte(in))
		if err != nil || e.Control == nil || e.HasPosition() {
			t.Errorf("%s: %+v, %v", in, e, err)
			continue
		}
		if got := fmt.Sprint(*e.Control); got != want[i] {
			t.Errorf("%s:\n got %s\nwant %s", in, got, want[i])
		}
	}
}

func TestControlRefuses(t *testing.T) {
	f := func(members string) {
		t.Helper()
		var d Decoder
		e, err := d.Decode([]byte(`{"message":"m","@metadata":{"tally":{` + members + `}}}`))
		if !errors.Is(err, ErrControl) {
			t.Errorf("%.80s: %+v, %v", members, e.Control, err)
		}
	}
	f(`"control":"drop","source":"s"`)
	f(`"control":7,"source":"s"`)
	f(`"control":"lost","from":0,"to":1`)
	f(`"control":"lost","source":"s","from":-1,"to":1`)
	f(`"control":"lost","source":"s","from":5,"to":5`)
	f(`"control":"lost","source":"s","from":5,"to":4.5`)
	f(`"control":"lost","source":"s","from":4611686018427387904,"to":null`)
	f(`"control":"skipped","source":"s","from":0,"to":null`)
	f(`"control":"skipped","source":"s","from":0,"to":9223372036854775807`)
	f(`"control":"complete","source":"s","to":4611686018427387905`)
	f(`"control":"complete","source":"` + strings.Repeat("s", 513) + `","to":4`)
	f(`"control":"status","source":"s","status":"fine"`)
	f(`"control":"status","source":"s","status":{"x":"` + strings.Repeat("y", maxStatus) + `"}`)
}
