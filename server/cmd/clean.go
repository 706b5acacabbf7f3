package cmd

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/plugins/host"
	"github.com/tallylog/tally/processors"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/server/clean"
	"github.com/tallylog/tally/server/config"
	"github.com/tallylog/tally/server/record"
	"github.com/tallylog/tally/strictyaml"
)

func cleanCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "clean",
		Short: "Try cleaning pipelines",
		Long: `Try the cleaning pipelines of a file without a server. FILE is a list of pipelines, a file with the key pipelines, one pipeline
alone, or a whole tally.yml.`,
	}
	c.AddCommand(cleanTestCommand(), cleanRunCommand())
	return c
}

func cleanTestCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "test FILE",
		Short:   "Run the example tests in a file of pipelines",
		Long:    `Run the example tests that stand in the pipelines of FILE. Exit code 0: all pass. 1: some fail; each is named with the difference.`,
		Example: `  tally clean test tally.yml`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			p, done, err := readPipelines(c, args[0])
			if err != nil {
				return fail(exitUsage, "%v", err)
			}
			defer done()
			ran, failed := p.Test()
			out := c.OutOrStdout()
			for _, f := range failed {
				fmt.Fprintf(out, "FAIL %s: %s\n  %s\n", f.Pipeline, f.Case, strings.ReplaceAll(f.Difference, "\n", "\n  "))
			}
			if len(failed) > 0 {
				return fail(exitFailed, "%d of %d tests fail", len(failed), ran)
			}
			fmt.Fprintf(out, "ok: %d pipelines, %d tests\n", len(p.List), ran)
			return nil
		},
	}
}

func cleanRunCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "run FILE < lines",
		Short: "Send lines through the pipelines of a file",
		Long: `Send lines through the pipelines of FILE; each becomes the message of an event. For people it shows what each step changes; with
--json it prints one resulting event a line.`,
		Example: `  tail -n 5 access.log | tally clean run tally.yml
  tally clean run --json tally.yml < access.log > events.ndjson`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			p, done, err := readPipelines(c, args[0])
			if err != nil {
				return fail(exitUsage, "%v", err)
			}
			defer done()
			out := bufio.NewWriter(c.OutOrStdout())
			if err := cleanRun(p, bufio.NewReaderSize(stdin(c), 1<<20), out, newPainter(c), asJSON); err != nil {
				return err
			}
			return out.Flush()
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one resulting event a line")
	return c
}

// readPipelines reads a file in any of its forms, and starts its plugins; done ends them.
func readPipelines(cmd *cobra.Command, file string) (p *clean.Pipelines, done func(), err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read pipelines: %w", err)
	}
	root, err := strictyaml.Parse(file, text, os.LookupEnv)
	if err != nil {
		return nil, nil, err
	}
	cfg, whole := config.Config{}, false
	if list, _ := root.Take("pipelines"); !list.IsZero() {
		// The other keys, where there are some, are those of a server's configuration.
		if cfg, err = config.Parse(file, text, os.LookupEnv); err != nil {
			return nil, nil, err
		}
		whole = true
	}
	log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	set := host.New(host.Options{Log: log, Host: "tally " + Version})
	d, err := set.Draft(cfg.Plugins)
	if err != nil {
		return nil, nil, err
	}
	extra := processors.Extra{Name: "plugin", New: d.Processor}
	if whole {
		p, err = clean.Compile(cfg.Pipelines, extra)
	} else {
		p, err = clean.CompileFile(root, extra)
	}
	if err == nil {
		err = d.Start()
	}
	if err != nil {
		set.Close()
		return nil, nil, err
	}
	return p, set.Close, nil
}

// runLines bounds the lines that go through together. Fewer go when no more are there yet, so that a pipe from tail -f is followed.
const runLines = 1000

func cleanRun(p *clean.Pipelines, in *bufio.Reader, out *bufio.Writer, paint painter, asJSON bool) error {
	for n, end := 0, false; !end; {
		b := &record.Batch{}
		for len(b.Events) < runLines && !end && (len(b.Events) == 0 || in.Buffered() > 0) {
			line, err := in.ReadString('\n')
			if err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("cannot read lines: %w", err)
			}
			if end = err != nil; end && line == "" {
				break
			}
			e := event.Event{}
			e.Put(event.Message, strings.ToValidUTF8(strings.TrimRight(line, "\r\n"), "\uFFFD"))
			b.Events = append(b.Events, e)
		}
		if asJSON {
			p.Clean(b)
			for i := range b.Events {
				if _, err := out.Write(append(processor.AppendJSON(nil, &b.Events[i]), '\n')); err != nil {
					return err
				}
			}
		} else {
			lines := make([]string, len(b.Events))
			for i := range b.Events {
				lines[i], _ = b.Events[i].Get(event.Message)
			}
			for i, t := range p.Explain(b) {
				n++
				printTrace(out, paint, n, lines[i], t)
			}
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// printTrace shows what became of a line.
func printTrace(w io.Writer, paint painter, n int, line string, t clean.Trace) {
	fmt.Fprintf(w, "%s %s\n", paint.paint("1", fmt.Sprintf("line %d:", n)), line)
	pipeline := ""
	for _, c := range t.Steps {
		if c.Pipeline != pipeline {
			pipeline = c.Pipeline
			fmt.Fprintf(w, "  pipeline %s\n", pipeline)
		}
		indent := strings.Repeat("  ", c.Depth+2)
		fmt.Fprintf(w, "%s%s (line %d)", indent, c.Step.Name, c.Step.Line)
		switch {
		case c.Err != nil:
			fmt.Fprintf(w, ": %s", paint.paint("31", c.Err.Error()))
		case c.Dropped:
			fmt.Fprintf(w, ": %s", paint.paint("31", "drops the event"))
		case len(c.Set)+len(c.Removed) == 0:
			fmt.Fprint(w, ": no change")
		}
		fmt.Fprintln(w)
		for _, f := range c.Set {
			fmt.Fprintf(w, "%s  %s %s: %s\n", indent, paint.paint("32", "+"), f.Name, processor.AppendValue(nil, f))
		}
		for _, name := range c.Removed {
			fmt.Fprintf(w, "%s  %s %s\n", indent, paint.paint("31", "-"), name)
		}
	}
	switch {
	case t.Joined:
		fmt.Fprintln(w, "  joined to the line before")
	case len(t.More) > 0:
		fmt.Fprintf(w, "  and %d further events were made of it:\n", len(t.More))
		for _, e := range t.More {
			fmt.Fprintf(w, "    %s\n", processor.AppendJSON(nil, e))
		}
	case t.Event == nil:
		fmt.Fprintln(w, "  dropped")
	case len(t.Steps) == 0:
		fmt.Fprintln(w, "  no pipeline changes it")
	}
}
