package positions

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

type value struct {
	Offset int64
	Pad    string
}

func open(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func wantOffset(t *testing.T, s *Store, key string, want int64) {
	t.Helper()
	var v value
	if ok, err := s.Get(key, &v); err != nil || !ok || v.Offset != want {
		t.Fatalf("Get(%q) = %v %v %v, want offset %d", key, v, ok, err, want)
	}
}

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry")
	s := open(t, path)
	for i := range int64(300) {
		if err := s.Set(fmt.Sprintf("a/%03d", i), value{Offset: i}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{s.Set("a/007", value{Offset: 70}), s.Set("b/1", value{}), s.Delete("a/008"), s.Delete("none")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	wantOffset(t, s, "a/007", 70)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Set("a/1", 1); !errors.Is(err, ErrClosed) {
		t.Fatalf("Set after Close: %v", err)
	}

	s = open(t, path)
	wantOffset(t, s, "a/007", 70)
	n, last := 0, ""
	err := s.Range("a/", func(k string, raw []byte) error {
		if k <= last || len(raw) == 0 {
			t.Errorf("key %q after %q with %q", k, last, raw)
		}
		n, last = n+1, k
		return nil
	})
	if err != nil || n != 299 {
		t.Fatalf("Range gave %d keys and %v, want 299", n, err)
	}
	if ok, err := s.Get("a/008", &value{}); ok || err != nil {
		t.Fatalf("a deleted key is there: %v %v", ok, err)
	}
	stop := errors.New("stop")
	if err := s.Range("", func(string, []byte) error { return stop }); err != stop {
		t.Fatalf("Range returned %v", err)
	}
	if _, err := s.Get("a/007", new(string)); err == nil {
		t.Fatal("an object decoded into a string")
	}
	if err := s.Set("", 1); err == nil {
		t.Fatal("an empty key was taken")
	}
	if err := s.Set("f", func() {}); err == nil {
		t.Fatal("a function was encoded")
	}
}

// A change is written without Sync. The file is polled through a copy, because the Store has it locked.
func TestBackgroundWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "registry")
	s := open(t, path)
	if err := s.Set("k", value{Offset: 9}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		cp := filepath.Join(dir, "copy")
		if err := os.WriteFile(cp, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if c, err := Open(cp); err == nil { // a copy made in the middle of a write may be torn
			var v value
			ok, _ := c.Get("k", &v)
			c.Close()
			if ok && v.Offset == 9 {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("the change never reached the file")
		}
	}
}

func TestInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry")
	s := open(t, path)
	_, err := Open(path)
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), path) {
		t.Fatalf("second Open: %v", err)
	}
	s.Close()
	// Somebody else who has the database open, without our lock file.
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := Open(path); !errors.Is(err, ErrInUse) {
		t.Fatalf("Open of a locked database: %v", err)
	}
}

func TestConcurrent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry")
	s := open(t, path)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			key := fmt.Sprint("k", g)
			for i := range int64(200) {
				if err := s.Set(key, value{Offset: i}); err != nil {
					t.Error(err)
				}
				var v value
				if ok, err := s.Get(key, &v); !ok || err != nil || v.Offset != i {
					t.Errorf("Get = %v %v %v, want %d", v, ok, err, i)
				}
				if i%50 == 0 {
					if err := s.Sync(); err != nil {
						t.Error(err)
					}
					if err := s.Range("k", func(string, []byte) error { return nil }); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	s.Close()
	s = open(t, path)
	for g := range 8 {
		wantOffset(t, s, fmt.Sprint("k", g), 199)
	}
}

func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry")
	var synced int64
	for round := range 4 {
		cmd := child(t, "kill", path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		sc := bufio.NewScanner(out)
		for i := 0; i < 20+13*round && sc.Scan(); i++ {
			if _, err := fmt.Sscanf(sc.Text(), "synced %d", &synced); err != nil {
				t.Fatalf("child said %q", sc.Text())
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for sc.Scan() { // what it had said before it died counts too
			if _, err := fmt.Sscanf(sc.Text(), "synced %d", &synced); err != nil {
				break
			}
		}
		_ = cmd.Wait()
		s := open(t, path)
		var v value
		if ok, err := s.Get("counter", &v); err != nil || !ok || v.Offset < synced || synced == 0 {
			t.Fatalf("round %d: counter %v %v %v, %d was durable", round, v.Offset, ok, err, synced)
		}
		s.Close()
	}
}

// TestFullDisk uses a limit on file size in a child: a write past it fails as on a full disk, for any user.
func TestFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry")
	cmd := child(t, "full", path)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := open(t, path)
	for i := range int64(400) {
		wantOffset(t, s, fmt.Sprintf("k%03d", i), i)
	}
}

func child(t *testing.T, mode, path string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "POSITIONS_CHILD="+mode, "POSITIONS_PATH="+path)
	return cmd
}

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv("POSITIONS_CHILD") {
	case "kill":
		err = countForEver(os.Getenv("POSITIONS_PATH"))
	case "full":
		err = fillDisk(os.Getenv("POSITIONS_PATH"))
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func countForEver(path string) error {
	s, err := Open(path)
	if err != nil {
		return err
	}
	var v value
	if _, err := s.Get("counter", &v); err != nil {
		return err
	}
	for {
		v.Offset++
		v.Pad = strings.Repeat("x", int(v.Offset%7)*900)
		if err := s.Set("counter", v); err != nil {
			return err
		}
		if err := s.Set(fmt.Sprint("other", v.Offset%50), v); err != nil {
			return err
		}
		if err := s.Sync(); err != nil {
			return err
		}
		fmt.Println("synced", v.Offset)
	}
}

func fillDisk(path string) error {
	signal.Ignore(syscall.SIGXFSZ)
	s, err := Open(path)
	if err != nil {
		return err
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	full := limit
	full.Cur = 128 << 10
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &full); err != nil {
		return err
	}
	refused := 0
	for i := range int64(400) {
		key := fmt.Sprintf("k%03d", i)
		if err := s.Set(key, value{Offset: i, Pad: strings.Repeat("x", 1000)}); err != nil {
			return err
		}
		if s.Sync() != nil {
			refused++
		}
		var v value
		if ok, err := s.Get(key, &v); !ok || err != nil || v.Offset != i {
			return fmt.Errorf("while full: %v %v %v", v.Offset, ok, err)
		}
	}
	if refused == 0 {
		return errors.New("no write was refused")
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	return errors.Join(s.Sync(), s.Close())
}
