package positions

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// filled makes a registry of 500 values and returns its bytes.
func filled(t *testing.T, path string) []byte {
	t.Helper()
	s := open(t, path)
	for i := range int64(500) {
		if err := s.Set(fmt.Sprintf("key%03d", i), value{Offset: i, Pad: "pad"}); err != nil {
			t.Fatal(err)
		}
		if i%100 == 0 {
			if err := s.Sync(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDamagedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry")
	good := filled(t, path)
	f := func(name string, content []byte) {
		t.Helper()
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path)
		if err == nil {
			s.Close()
			t.Fatalf("%s: opened", name)
		}
		if !strings.Contains(err.Error(), path) {
			t.Fatalf("%s: the error does not name the file: %v", name, err)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, content) {
			t.Fatalf("%s: the damaged file was changed (%v)", name, err)
		}
	}
	f("empty", nil)
	f("garbage", []byte(strings.Repeat("no registry ", 5000)))
	f("short", good[:100])
	f("half", good[:len(good)/2])
	f("two pages", good[:2*os.Getpagesize()])
	f("zeros", make([]byte, len(good)))
	at := bytes.LastIndex(good, []byte(`"Offset":250`))
	flipped := bytes.Clone(good)
	flipped[at+10] = '7'
	for {
		// Free pages still hold older copies: change every one of them.
		i := bytes.Index(flipped, []byte(`"Offset":250`))
		if i < 0 {
			break
		}
		flipped[i+10] = '7'
	}
	f("changed digit", flipped)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Fatalf("a directory: %v", err)
	}
}

// Whatever bit flips: Open fails with an error, or gives exactly what was stored (the flip hit free space), and it never
// panics.
func TestRandomDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry")
	good := filled(t, path)
	rng := rand.New(rand.NewSource(1))
	refused := 0
	for range 300 {
		bad := bytes.Clone(good)
		if rng.Intn(2) == 0 {
			bad[rng.Intn(len(bad))] ^= 1 << rng.Intn(8)
		} else {
			// A block of a page's header, or a whole sector.
			at := rng.Intn(len(bad)/512) * 512
			n := 16
			if rng.Intn(2) == 0 {
				n = 512
			}
			for i := range n {
				bad[at+i] = byte(rng.Intn(256))
			}
		}
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path)
		if err != nil {
			refused++
			if errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), path) {
				t.Fatalf("damage gave the error %v", err)
			}
			continue
		}
		n := 0
		_ = s.Range("", func(k string, raw []byte) error {
			if want := fmt.Sprintf(`{"Offset":%d,"Pad":"pad"}`, n); string(raw) != want {
				t.Errorf("%s is %s, want %s", k, raw, want)
			}
			n++
			return nil
		})
		if n != 500 {
			t.Fatalf("%d values of 500 and no error", n)
		}
		s.Close()
	}
	if refused == 0 {
		t.Fatal("no damage was noticed")
	}
}

// A fault in the middle of a write keeps the values, and the next write opens the file again.
func TestFaultWhileWriting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry")
	good := filled(t, path)
	s := open(t, path)
	if err := s.Set("key007", value{Offset: 700}); err != nil {
		t.Fatal(err)
	}
	// The pages of the map lie beyond the end of the file now: reading them is a fault (SIGBUS).
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Sync(); err == nil || !strings.Contains(err.Error(), path) {
		t.Fatalf("Sync on a truncated file: %v", err)
	}
	if err := s.Sync(); !errors.Is(err, errDamaged) {
		t.Fatalf("second Sync on a truncated file: %v", err)
	}
	wantOffset(t, s, "key007", 700)
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Sync(); err != nil {
		t.Fatalf("Sync on the restored file: %v", err)
	}
	s.Close()
	s = open(t, path)
	wantOffset(t, s, "key007", 700)
	wantOffset(t, s, "key008", 8)
}

// A start that was killed while it made the file leaves nothing that looks like a registry.
func TestInterruptedCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry")
	if err := os.WriteFile(path+".new", []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, path)
	if err := s.Set("k", value{Offset: 1}); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkSetSync(b *testing.B) {
	s, err := Open(filepath.Join(b.TempDir(), "registry"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := s.Set(fmt.Sprint("key", i%1000), value{Offset: int64(i)}); err != nil {
			b.Fatal(err)
		}
		if i%100 == 99 {
			if err := s.Sync(); err != nil {
				b.Fatal(err)
			}
		}
	}
}
