package pods

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tallylog/tally/processors/k8smeta"
)

func pod(i int) *Pod {
	return &Pod{UID: fmt.Sprint("uid-", i), Name: fmt.Sprint("p-", i), Namespace: "n", Labels: map[string]string{"app": fmt.Sprint(i)},
		Containers: []Container{{Name: "c", ID: fmt.Sprint("id-", i)}}}
}

func ref(i int) k8smeta.Ref { return k8smeta.Ref{UID: pod(i).UID} }

func TestGet(t *testing.T) {
	s := New(Options{MaxPods: 10, Keep: time.Hour})
	a, mirror := pod(1), pod(2)
	mirror.ConfigHash = "hash"
	s.Replace([]*Pod{a, mirror})
	f := func(r k8smeta.Ref, want *Pod) {
		t.Helper()
		if got := s.Get(r); got != want {
			t.Errorf("%+v: %+v, want %+v", r, got, want)
		}
	}
	f(ref(1), a)
	f(k8smeta.Ref{UID: "hash"}, mirror)
	f(k8smeta.Ref{Namespace: "n", Pod: "p-1"}, a)
	f(k8smeta.Ref{ContainerID: "id-2"}, mirror)
	f(k8smeta.Ref{ContainerID: "older", Namespace: "n", Pod: "p-2"}, mirror)
	f(k8smeta.Ref{UID: "other", Namespace: "n", Pod: "p-1"}, nil) // of the same name, but another
	f(k8smeta.Ref{ContainerID: "other"}, nil)
	f(k8smeta.Ref{}, nil)
	// The successor of the same name, as of a StatefulSet.
	next := pod(3)
	next.Name = "p-1"
	s.Delete(a.UID)
	s.Put(next)
	f(k8smeta.Ref{Namespace: "n", Pod: "p-1"}, next)
	if got := s.Get(ref(1)); got == nil || got.Gone.IsZero() || got.Labels["app"] != "1" {
		t.Errorf("the one that has gone: %+v", got)
	}
	// A new container takes the place of the old one.
	restarted := pod(2)
	restarted.Containers[0].ID = "id-2b"
	s.Put(restarted)
	f(k8smeta.Ref{ContainerID: "id-2"}, nil)
	f(k8smeta.Ref{ContainerID: "id-2b"}, restarted)
	f(k8smeta.Ref{UID: "hash"}, nil)
	// After a new list the missing ones have gone.
	s.Replace([]*Pod{next})
	if there, gone := s.Len(); there != 1 || gone != 2 {
		t.Errorf("%d there, %d gone", there, gone)
	}
}

// However many pods come and go, the living stay, and of the others the last.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{MaxPods: 10, Keep: time.Hour})
		for i := range 100 {
			s.Put(pod(i))
			if i >= 5 {
				s.Delete(pod(i - 5).UID)
			}
			time.Sleep(time.Second)
		}
		if there, gone := s.Len(); there != 5 || gone != 5 {
			t.Errorf("%d there, %d gone", there, gone)
		}
		for i := 90; i < 100; i++ {
			if s.Get(ref(i)) == nil {
				t.Errorf("pod %d is not there", i)
			}
		}
		if len(s.byUID) != 10 || len(s.byName) != 10 || len(s.byContainer) != 10 {
			t.Errorf("indexes of %d, %d, %d", len(s.byUID), len(s.byName), len(s.byContainer))
		}
		time.Sleep(2 * time.Hour)
		s.Delete(pod(95).UID)
		if there, gone := s.Len(); there != 4 || gone != 1 {
			t.Errorf("after two hours %d there, %d gone", there, gone)
		}
		for i := range 20 { // more are alive than are kept
			s.Put(pod(200 + i))
		}
		s.Delete("uid-96")
		if there, gone := s.Len(); there != 23 || gone != 0 {
			t.Errorf("of many %d there, %d gone", there, gone)
		}
	})
}

func TestWait(t *testing.T) {
	const most = 2 * time.Second
	f := func(name string, do func(t *testing.T, s *Store, find func(i int) (bool, time.Duration))) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(Options{MaxPods: 100, Keep: time.Hour, Wait: most})
				do(t, s, func(i int) (bool, time.Duration) {
					began := time.Now()
					return s.Find(ref(i)) != nil, time.Since(began)
				})
			})
		})
	}
	want := func(t *testing.T, found bool, took time.Duration, wantFound bool, wantTook time.Duration) {
		t.Helper()
		if found != wantFound || took != wantTook {
			t.Errorf("found %v after %v, want %v after %v", found, took, wantFound, wantTook)
		}
	}
	f("a pod that comes", func(t *testing.T, s *Store, find func(int) (bool, time.Duration)) {
		s.Replace(nil)
		s.Connected(true)
		time.AfterFunc(300*time.Millisecond, func() { s.Put(pod(1)) })
		found, took := find(1)
		want(t, found, took, true, 300*time.Millisecond)
	})
	f("one that never comes is waited for once", func(t *testing.T, s *Store, find func(int) (bool, time.Duration)) {
		s.Replace(nil)
		s.Connected(true)
		found, took := find(1)
		want(t, found, took, false, most)
		time.Sleep(time.Minute)
		found, took = find(1)
		want(t, found, took, false, 0)
		time.Sleep(forget)
		found, took = find(1)
		want(t, found, took, false, most)
		if all, vain := s.Waits(); all != 2 || vain != 2 {
			t.Errorf("%d waits, %d in vain", all, vain)
		}
	})
	f("a hundred that never come", func(t *testing.T, s *Store, find func(int) (bool, time.Duration)) {
		s.Replace([]*Pod{pod(1000)})
		s.Connected(true)
		began := time.Now()
		for i := range 100 {
			find(i)
			if found, took := find(1000); !found || took != 0 {
				t.Errorf("a known pod is waited for")
			}
		}
		if took := time.Since(began); took > most+took/refill+time.Millisecond {
			t.Errorf("held up for %v", took)
		}
	})
	f("at the start, before the first list", func(t *testing.T, s *Store, find func(int) (bool, time.Duration)) {
		time.AfterFunc(time.Second, func() { s.Replace([]*Pod{pod(1)}); s.Connected(true) })
		found, took := find(1)
		want(t, found, took, true, time.Second)
	})
	f("the API server is down at the start", func(t *testing.T, s *Store, find func(int) (bool, time.Duration)) {
		found, took := find(1)
		want(t, found, took, false, most)
		for i := range 50 {
			found, took = find(i)
			want(t, found, took, false, 0)
		}
	})
	f("it goes down later", func(t *testing.T, s *Store, find func(int) (bool, time.Duration)) {
		s.Replace(nil)
		s.Connected(true)
		time.AfterFunc(100*time.Millisecond, func() { s.Connected(false) })
		found, took := find(1)
		want(t, found, took, false, 100*time.Millisecond)
		found, took = find(2)
		want(t, found, took, false, 0)
		// It comes back: the pod that was given up because of that is waited for again.
		s.Connected(true)
		time.AfterFunc(100*time.Millisecond, func() { s.Put(pod(1)) })
		found, took = find(1)
		want(t, found, took, true, 100*time.Millisecond)
	})
}
