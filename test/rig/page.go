package rig

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Page drives Chromium through flows of the page at url: name says which, see server/web/testdata/<name>.mjs. The server must be
// empty. env is added to the script's environment.
func Page(t *testing.T, name, url, user, password string, env ...string) {
	t.Helper()
	chromium := need(t, "chromium", "chromium")
	node := need(t, "node", "nodejs")
	npm := need(t, "npm", "npm")
	dir := filepath.Join(Root(t), "server/web/testdata")
	screenshots := filepath.Join(Root(t), "build/screenshots")
	if err := os.MkdirAll(screenshots, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 25*time.Minute)
	defer cancel()
	install(t, ctx, npm, dir)
	cmd := exec.CommandContext(ctx, node, name+".mjs")
	cmd.Env = append(os.Environ(), "TALLY_URL="+url, "TALLY_USER="+user, "TALLY_PASSWORD="+password,
		"CHROMIUM="+chromium, "SCREENSHOTS="+screenshots, "PROFILE="+t.TempDir())
	cmd.Env = append(cmd.Env, env...)
	script(t, ctx, cmd, dir)
}

// install gets what package.json names, once: two packages of tests may come here at the same time.
func install(t *testing.T, ctx context.Context, npm, dir string) {
	t.Helper()
	lock, err := os.OpenFile(filepath.Join(Root(t), "build", "npm.lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatalf("cannot lock %q: %v", lock.Name(), err)
	}
	// npm ls fails where a package is missing or of another version than package.json names.
	ls := exec.CommandContext(ctx, npm, "ls")
	ls.Dir = dir
	if ls.Run() != nil {
		script(t, ctx, exec.CommandContext(ctx, npm, "install", "--no-audit", "--no-fund", "--ignore-scripts"), dir)
	}
}

func need(t *testing.T, program, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("cannot find %s; on Debian: apt-get install %s", program, pkg)
	}
	return path
}

func script(t *testing.T, ctx context.Context, cmd *exec.Cmd, dir string) {
	t.Helper()
	cmd.Dir = dir
	// The browser is a child of node: when time is up, node is asked to end it, before it is ended itself.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	t.Logf("%s\n%s", cmd.Args, out)
	if err != nil {
		t.Fatalf("cannot run %q: %v (%v)", cmd.Args, err, ctx.Err())
	}
}
