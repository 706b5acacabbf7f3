//go:build mage

// The targets of this repository: go tool mage -l lists them. What they do is in internal/build.
package main

import (
	"context"

	"github.com/tallylog/tally/internal/build"
)

// Run builds both programs and runs them on this machine's own journal and /var/log until Ctrl-C.
func Run(ctx context.Context) error { return build.Run(ctx) }

// Test installs what the tests need, as far as it may, and runs all of them.
func Test(ctx context.Context) error { return build.Test(ctx) }

// Build writes build/tally and build/tallybeat.
func Build(ctx context.Context) error { return build.Programs(ctx) }

// Check looks at formatting, at what go vet and staticcheck find, and whether generated files are current.
func Check(ctx context.Context) error { return build.Check(ctx) }

// Bench measures agent and server beside their peers and prints a table; build/bench.json has the same figures.
func Bench(ctx context.Context) error { return build.Bench(ctx) }

// Faults runs the long forms of the tests that kill, fill and tear.
func Faults(ctx context.Context) error { return build.Faults(ctx) }

// Kube runs the tests against a real kube-apiserver, which plain go test leaves out; the first time it builds one, for minutes.
func Kube(ctx context.Context) error { return build.Kube(ctx) }
