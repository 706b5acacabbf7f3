package auth

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

const childDir = "TALLY_AUTH_TEST_CHILD_DIR"

// TestMain turns the test program into the victim of TestKill when it is started with childDir set.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		fmt.Println("failed", mintForEver(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// mintForEver makes tokens, revokes every second one, and says so on stdout once each is done.
func mintForEver(dir string) error {
	ctx := context.Background()
	s, err := Open(ctx, dir, Options{Now: newClock().now, cost: cheap})
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		id, secret, err := s.CreateToken(ctx, root, TokenRequest{Name: fmt.Sprint(i), Role: RolePush})
		if err != nil {
			return err
		}
		if i%2 == 1 {
			if err := s.RevokeToken(ctx, root, id); err != nil {
				return err
			}
			fmt.Println("revoked", secret)
			continue
		}
		fmt.Println("made", secret)
	}
}

// TestKill kills a process with SIGKILL while it writes, twice: all that it said it had done must be there.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	said := map[string]string{}
	for range 2 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			what, secret, ok := strings.Cut(lines.Text(), " ")
			if !ok || what == "failed" {
				t.Fatalf("the child says %q", lines.Text())
			}
			said[secret] = what
			if n == 60 {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Wait() // it was killed, which is an error to Wait
	}
	s := openStore(t, dir, newClock())
	for secret, what := range said {
		if _, err := s.Authenticate(request("GET", bearer(secret))); (err == nil) != (what == "made") {
			t.Errorf("a token that was %s: %v", what, err)
		}
	}
	if len(said) < 120 {
		t.Errorf("%d tokens, want at least 120", len(said))
	}
}
