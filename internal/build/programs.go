package build

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// say prints a line of progress.
func say(format string, args ...any) { fmt.Printf("» "+format+"\n", args...) }

// command prepares a program that is interrupted, not killed, when ctx ends, so that it can stop its own children.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 4 * time.Second
	return cmd
}

// stream runs a program whose output goes straight to the terminal.
func stream(ctx context.Context, name string, args ...string) error {
	cmd := command(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("cannot run %q: %w", strings.Join(cmd.Args, " "), err)
	}
	return nil
}

// output runs a program and returns what it printed.
func output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := command(ctx, name, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("cannot run %q: %w\n%s", strings.Join(cmd.Args, " "), err, stderr.String())
	}
	return string(out), nil
}

// version is the state of the repository as git describes it; "unknown" outside of one.
func version(ctx context.Context) string {
	out, err := output(ctx, "git", "describe", "--tags", "--always", "--dirty")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(out)
}

// Programs builds build/tally and build/tallybeat after installing what they need.
func Programs(ctx context.Context) error {
	if err := install(ctx, forBuilding); err != nil {
		return err
	}
	v := version(ctx)
	for _, name := range []string{"tally", "tallybeat"} {
		say("building build/%s %s (the first time takes minutes)", name, v)
		start := time.Now()
		// Without the tables for debuggers the agent links in half the time.
		flags := "-s -w -X main.version=" + v
		if name == "tallybeat" { // what libbeat prints as its commit
			flags = "-s -w -X github.com/elastic/beats/v7/libbeat/version.commit=" + v
		}
		if err := stream(ctx, "go", "build", "-ldflags", flags, "-o", "build/"+name, "./cmd/"+name); err != nil {
			return err
		}
		say("built build/%s in %v", name, time.Since(start).Round(100*time.Millisecond))
	}
	return nil
}

// Bench builds both programs and runs bench with its default sizes.
func Bench(ctx context.Context) error {
	if err := Programs(ctx); err != nil {
		return err
	}
	return stream(ctx, "go", "run", "./bench")
}
