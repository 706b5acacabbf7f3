package pods

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/tallylog/tally/processors/k8smeta"
)

// kept makes a file of two pods, of which one has gone.
func kept(t *testing.T) (file string, text []byte) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "data", "pods")
	s := New(Options{File: file, MaxPods: 10, Keep: time.Hour, Warn: t.Logf})
	p := pod(1)
	p.Owner = k8smeta.Owner{Kind: k8smeta.Deployment, Name: "d", Inner: "d-1"}
	s.Replace([]*Pod{p, pod(2)})
	s.Delete("uid-2")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.Keep(ctx)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return file, text
}

// open makes a Store of the file, and tells how often it warned.
func open(t *testing.T, file string) (s *Store, warnings int) {
	t.Helper()
	s = New(Options{File: file, MaxPods: 10, Keep: time.Hour, Warn: func(string, ...any) { warnings++ }})
	return s, warnings
}

func TestKeep(t *testing.T) {
	file, _ := kept(t)
	s, warnings := open(t, file)
	a, b := s.Get(ref(1)), s.Get(ref(2))
	if warnings != 0 || a == nil || b == nil || !a.Gone.IsZero() || b.Gone.IsZero() || a.Owner.Inner != "d-1" || !reflect.DeepEqual(b.Labels, pod(2).Labels) {
		t.Errorf("%d warnings, %+v, %+v", warnings, a, b)
	}
	// A pod that went while the agent was down has gone after the first list.
	s.Replace(nil)
	if there, gone := s.Len(); there != 0 || gone != 2 {
		t.Errorf("%d there, %d gone", there, gone)
	}
	if _, warnings := open(t, filepath.Join(t.TempDir(), "none")); warnings != 0 {
		t.Error("a file that is not there is warned of")
	}
}

// What cannot be written is said once.
func TestKeepFails(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var said []string
	s := New(Options{MaxPods: 10, Warn: func(f string, a ...any) { said = append(said, fmt.Sprintf(f, a...)) }})
	s.o.File = filepath.Join(blocked, "pods")
	s.Put(pod(1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.Keep(ctx)
	if len(said) != 1 {
		t.Errorf("said %q", said)
	}
}

// Every torn write and every flipped bit is found, and costs only what was in the file.
func TestDamage(t *testing.T) {
	file, text := kept(t)
	f := func(what string, text []byte) {
		t.Helper()
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		s, warnings := open(t, file)
		if there, gone := s.Len(); warnings != 1 || there+gone != 0 {
			t.Errorf("%s: %d warnings, %d and %d pods", what, warnings, there, gone)
		}
	}
	for n := range len(text) {
		f(fmt.Sprintf("cut after %d bytes", n), text[:n])
	}
	for i := range len(text) * 8 {
		flipped := bytes.Clone(text)
		flipped[i/8] ^= 1 << (i % 8)
		f(fmt.Sprintf("bit %d flipped", i), flipped)
	}
	f("appended to", append(bytes.Clone(text), 'x'))
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("tally-pods 1 00000000 0\n"))
	f.Add([]byte("tally-pods 1 2d02ef8d 2\n[]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := decode(text)
		if err != nil && all != nil {
			t.Errorf("%q gives pods and %v", text, err)
		}
	})
}
