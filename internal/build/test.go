package build

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// Test builds both programs, installs what the tests use beside them, and runs every test of the repository.
func Test(ctx context.Context) error {
	start := time.Now()
	if err := Programs(ctx); err != nil {
		return err
	}
	if err := install(ctx, forTesting); err != nil {
		// The tests that need a missing part fail and name it; the others have their say all the same.
		say("%v", err)
	}
	if err := formatted(ctx); err != nil {
		return err
	}
	list, err := output(ctx, "go", "list", "./...")
	if err != nil {
		return err
	}
	// Two packages at a time, as there are tests which start both programs. The limit is for a package that hangs: it is far above what any needs on
	// a slow machine, and below what the whole may take, so that the stacks are still printed.
	s := &summary{start: start, packages: strings.Count(list, "\n")}
	say("testing %d packages (the first time compiles the tests: minutes)", s.packages)
	err = s.run(ctx, "test", "-p", "2", "-timeout", "40m", "./...")
	s.print(err)
	say("not among these: the tests against a real kube-apiserver; go tool mage kube runs them")
	return err
}

// Faults runs the simulated failures of power a thousand times, the tests of test/faults in their long form, and those of the store in
// Elasticsearch with the oldest line of versions that it works with.
func Faults(ctx context.Context) error {
	if err := Programs(ctx); err != nil {
		return err
	}
	if err := install(ctx, forTesting); err != nil {
		return err
	}
	err := stream(ctx, "go", "test", "-count=1", "-v", "-run", "TestFaultRuns", "./server/admit", "-args", "-runs", "1000")
	err = errors.Join(err, stream(ctx, "go", "test", "-count=1", "-timeout", "1h", "./server/storage/elasticsearch", "-args", "-elasticsearch", "7.17.29"))
	return errors.Join(err, stream(ctx, "go", "test", "-count=1", "-v", "-timeout", "6h", "./test/faults/...", "-args", "-long"))
}

// summary counts what go test says of each package while it passes the words on.
type summary struct {
	start      time.Time
	packages   int
	ok, silent int
	failed     []string
}

// run runs go with these arguments, and says every half minute that it is still at it.
func (s *summary) run(ctx context.Context, args ...string) error {
	cmd := command(ctx, "go", args...)
	pr, pw, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("cannot make a pipe: %w", err)
	}
	defer pr.Close()
	cmd.Stdout, cmd.Stderr = pw, pw
	err = cmd.Start()
	pw.Close()
	if err != nil {
		return fmt.Errorf("cannot start go test: %w", err)
	}
	lines := make(chan string)
	go func() {
		defer close(lines)
		r := bufio.NewReader(pr)
		for {
			line, err := r.ReadString('\n')
			if line != "" {
				lines <- strings.TrimRight(line, "\n")
			}
			if err != nil {
				if err != io.EOF {
					lines <- err.Error()
				}
				return
			}
		}
	}()
	tick := time.NewTicker(30 * time.Second)
	defer tick.Stop()
	for open := true; open; {
		select {
		case line, more := <-lines:
			if open = more; more {
				s.line(line)
			}
		case <-tick.C:
			say("%v: %d of %d packages done", time.Since(s.start).Round(time.Second), s.done(), s.packages)
		}
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("tests failed: %w", err)
	}
	return nil
}

func (s *summary) done() int { return s.ok + s.silent + len(s.failed) }

// line takes one line of go test's output: "ok  \tPKG\t1.2s", "FAIL\tPKG\t…", "?   \tPKG\t[no test files]", or of a test.
func (s *summary) line(line string) {
	word, rest, _ := strings.Cut(line, "\t")
	name, _, _ := strings.Cut(rest, "\t")
	switch {
	case strings.TrimSpace(word) == "?":
		s.silent++
		return
	case strings.TrimSpace(word) == "ok" && name != "":
		s.ok++
	case word == "FAIL" && name != "":
		name, _, _ = strings.Cut(name, " ")
		s.failed = append(s.failed, name)
	}
	fmt.Println(line)
}

func (s *summary) print(err error) {
	fmt.Printf("\n%d packages passed, %d failed, %d have no tests; %v\n", s.ok, len(s.failed), s.silent,
		time.Since(s.start).Round(time.Second))
	for _, name := range s.failed {
		fmt.Println("  failed:", name)
	}
	if err == nil {
		fmt.Println("all tests passed")
	}
}
