package dissect

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/elastic/beats/v7/libbeat/processors/dissect"
)

// TestDiffer compares random tokenizers and texts with those of Beats.
func TestDiffer(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	keys := []string{"a", "b", "c", "+a", "+b", "+a/2", "+a/1", "?x", "", "*k", "&k", "d->"} // not "e#2": where the delimiter after it is cut off, Beats panic
	delims := []string{" ", "[", "] ", ", ", "=", "--"}
	matched := 0
	for range 20000 {
		var pattern, text strings.Builder
		for range 1 + r.IntN(5) {
			if r.IntN(4) == 0 && pattern.Len() == 0 {
				pattern.WriteString("<")
				text.WriteString("<")
			}
			d := delims[r.IntN(len(delims))]
			pattern.WriteString("%{" + keys[r.IntN(len(keys))] + "}" + d)
			text.WriteString([]string{"x", "yy", "", "z  z", "w=v"}[r.IntN(5)] + d)
			if r.IntN(6) == 0 {
				text.WriteString(d)
			}
		}
		pattern.WriteString("%{last}")
		text.WriteString([]string{"", "end", "e n d"}[r.IntN(3)])
		if strings.Count(pattern.String(), "k}") == 1 {
			continue // Beats finds out when the text comes
		}
		ref, err := dissect.New(pattern.String())
		ours, ourErr := parse(pattern.String())
		if err != nil || ourErr != nil {
			continue
		}
		want, err := ref.Dissect(text.String())
		texts, ourErr := ours.split(text.String(), nil)
		if (err == nil) != (ourErr == nil) {
			t.Fatalf("%q on %q: Beats says %v, we say %v", pattern.String(), text.String(), err, ourErr)
		}
		if err != nil {
			continue
		}
		matched++
		got := map[string]string{}
		for _, p := range ours.resolve(texts, "", nil) {
			got[p.name] = p.text
		}
		delete(want, "")
		if strings.Contains(pattern.String(), "k}") || strings.Contains(pattern.String(), "?x") {
			continue // Beats deletes by name what the text may name as well
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%q on %q:\n got %v\nwant %v", pattern.String(), text.String(), got, want)
		}
	}
	if matched < 3000 {
		t.Errorf("only %d texts fit: that proves little", matched)
	}
}

func FuzzSplit(f *testing.F) {
	f.Add("%{a} [%{b->}] %{+a/2|long}", "x [y]] z")
	f.Add("%{a#3}%{b}", "xé")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		p, err := parse(pattern)
		if err != nil {
			return
		}
		if texts, err := p.split(text, nil); err == nil {
			p.resolve(texts, "", nil)
		}
	})
}
