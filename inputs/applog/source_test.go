package applog

import (
	"strings"
	"testing"
)

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

func TestContainerFields(t *testing.T) {
	id := strings.Repeat("0af9", 16)
	f := func(path string, want map[string]string) {
		t.Helper()
		got := podFields(path).Flatten()
		if len(got) != len(want) {
			t.Errorf("%s gives %v, want %v", path, got, want)
		}
		for k, v := range want {
			if got[k] != v {
				t.Errorf("%s: %s is %v, want %s", path, k, got[k], v)
			}
		}
	}
	f("/var/log/containers/shop-7c9-x_team-a_web-app-"+id+".log", map[string]string{
		"kubernetes.pod.name": "shop-7c9-x", "kubernetes.namespace": "team-a", "kubernetes.container.name": "web-app", "container.id": id,
	})
	f("/var/log/pods/team-a_shop-7c9-x_8e1f/web-app/0.log.20260102-030405.gz", map[string]string{
		"kubernetes.pod.name": "shop-7c9-x", "kubernetes.namespace": "team-a", "kubernetes.container.name": "web-app", "kubernetes.pod.uid": "8e1f",
	})
	f("/var/lib/docker/containers/"+id+"/"+id+"-json.log.1", map[string]string{"container.id": id})
	f("/var/log/containers/no_ns.log", nil)
	f("/var/log/containers/a_b_c-short.log", nil)
	f("/var/log/pods/x/y/0.log", nil)
}
