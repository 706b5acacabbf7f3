package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	lumberlog "github.com/elastic/go-lumber/log"
)

// silent drops what go-lumber says of each connection.
type silent struct{}

func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}
func (silent) Print(...any)          {}

func main() {
	var (
		lines   = flag.Int("lines", 1_000_000, "lines that each agent reads")
		entries = flag.Int("entries", 200_000, "journal entries that each agent reads")
		rows    = flag.Int("rows", 1_000_000, "events that the server stores")
		dir     = flag.String("dir", "", "folder for data, a temporary one if empty; it is removed at the end")
		out     = flag.String("json", "build/bench.json", "file for the figures")
		what    = flag.String("what", "all", "all, agents, idle or server")
		bare    = flag.String("bare", "", "internal: store -rows events in a bare logstorage in this folder, print figures as JSON")
	)
	flag.Parse()
	if err := run(*lines, *entries, *rows, *dir, *out, *what, *bare); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(lines, entries, rows int, dir, out, what, bare string) (err error) {
	if bare != "" {
		m, err := storeBare(bare, rows)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(m)
	}
	if what != "all" && what != "agents" && what != "idle" && what != "server" {
		return fmt.Errorf("-what is %q, want all, agents, idle or server", what)
	}
	lumberlog.Logger = silent{}
	if dir, err = os.MkdirTemp(dir, "tally-bench-"); err != nil {
		return fmt.Errorf("cannot make a folder for the data: %w", err)
	}
	defer os.RemoveAll(dir)
	var all []measure
	if what == "idle" || what == "all" {
		if err := idle(dir); err != nil {
			return err
		}
	}
	if what == "idle" {
		return nil
	}
	if what != "server" {
		if all, err = agents(dir, lines, entries); err != nil {
			return err
		}
	}
	if what != "agents" {
		more, err := servers(dir, rows)
		if err != nil {
			return err
		}
		all = append(all, more...)
	}
	table(os.Stdout, all)
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot encode the figures: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return fmt.Errorf("cannot make the folder of %q: %w", out, err)
	}
	if err := os.WriteFile(out, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("cannot write the figures: %w", err)
	}
	return nil
}
