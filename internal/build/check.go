package build

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// staticcheck is run by its version instead of being a tool of go.mod, which keeps its modules out of ours.
const staticcheck = "honnef.co/go/tools/cmd/staticcheck@v0.8.2"

// Check runs every static check, all of them even when one finds something.
func Check(ctx context.Context) error {
	if err := install(ctx, forBuilding); err != nil {
		return err
	}
	var all []error
	for _, c := range []struct {
		what string
		run  func(context.Context) error
	}{
		{"gofmt", formatted},
		{"go vet", func(ctx context.Context) error { return stream(ctx, "go", "vet", "./...") }},
		{"go vet of magefile.go", func(ctx context.Context) error { return stream(ctx, "go", "vet", "-tags", "mage", "magefile.go") }},
		{"go vet of the tests behind the tag kube", func(ctx context.Context) error { return stream(ctx, "go", "vet", "-tags", "kube", "./test/real/...") }},
		{"staticcheck", func(ctx context.Context) error {
			return stream(ctx, "go", "run", staticcheck, "-tags", "kube", "./...")
		}},
		{"go generate leaves the tree as it is", generated},
	} {
		say("%s", c.what)
		if err := c.run(ctx); err != nil {
			all = append(all, fmt.Errorf("%s: %w", c.what, err))
		}
	}
	return errors.Join(all...)
}

// formatted fails with the names of files that gofmt would change.
func formatted(ctx context.Context) error {
	files, err := output(ctx, "git", "ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate", "*.go")
	if err != nil {
		return err
	}
	deleted, err := output(ctx, "git", "ls-files", "--deleted", "*.go")
	if err != nil {
		return err
	}
	gone := map[string]bool{}
	for _, f := range strings.Fields(deleted) {
		gone[f] = true
	}
	args := []string{"-l"}
	for _, f := range strings.Fields(files) {
		if !gone[f] {
			args = append(args, f)
		}
	}
	out, err := output(ctx, "gofmt", args...)
	if err != nil {
		return err
	}
	if out != "" {
		return fmt.Errorf("not formatted, run gofmt -w on:\n%s", out)
	}
	return nil
}

// generated runs go generate and fails where it changed a file, put there a new one or took one away.
func generated(ctx context.Context) error {
	before, err := tree(ctx)
	if err != nil {
		return err
	}
	if err := stream(ctx, "go", "generate", "./..."); err != nil {
		return err
	}
	after, err := tree(ctx)
	if err != nil {
		return err
	}
	if before != after {
		return errors.New("generated files were not current; they are now, see git status")
	}
	return nil
}

// tree is a text that changes with every file that git would commit.
func tree(ctx context.Context) (string, error) {
	status, err := output(ctx, "git", "status", "--porcelain", "--untracked-files=all")
	if err != nil {
		return "", err
	}
	diff, err := output(ctx, "git", "diff", "HEAD")
	if err != nil {
		return "", err
	}
	return status + diff, nil
}
