package applog

import "testing"

// TestAcksAcrossTurns: libbeat acknowledges in batches that end anywhere, in the middle of a later turn too.
func TestAcksAcrossTurns(t *testing.T) {
	f := func(acks int, offset, shipped, anchor int64) {
		t.Helper()
		s := &source{}
		s.turns = []*turn{
			{source: s, ends: []int64{10, 20}, from: 0, to: 25}, // a blank line of 5 bytes ends it
			{source: s, ends: []int64{30, 40}, from: 25, to: 40},
			{source: s, ends: []int64{50, -60}, from: 40, to: 60},
		}
		all := s.turns
		for i := range acks {
			all[i/2].ack()
		}
		s.settle()
		if r := s.rec; r.Offset != offset || r.Shipped != shipped || r.Anchor != anchor || r.Shipped > r.Offset || r.Anchor > r.Offset {
			t.Errorf("after %d acknowledgements: offset %d, shipped %d, anchor %d; want %d, %d, %d", acks, r.Offset, r.Shipped, r.Anchor, offset, shipped, anchor)
		}
	}
	f(1, 10, 10, 0)
	f(2, 25, 20, 25)
	f(3, 30, 30, 25)
	f(4, 40, 40, 40)
	f(5, 50, 50, 40)
	f(6, 60, 50, 60)
}
