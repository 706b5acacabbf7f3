package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Version is set by the build.
var Version = "dev"

// The exit codes; the package comment says what they mean.
const (
	exitFailed  = 1
	exitUsage   = 2
	exitAccess  = 3
	exitPartial = 4
)

// exitError carries an exit code.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// fail makes an error that ends the program with code.
func fail(code int, format string, args ...any) error {
	return &exitError{code, fmt.Errorf(format, args...)}
}

// Main runs the command line and returns the exit code.
func Main(args []string, in io.Reader, out, errOut io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	root := New()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	var e *exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		if e.err.Error() != "" {
			fmt.Fprintln(errOut, "tally:", e.err)
		}
		return e.code
	case errors.Is(err, syscall.EPIPE), errors.Is(err, context.Canceled):
		return 0 // the reader went away, or Ctrl-C ended a tail
	}
	fmt.Fprintln(errOut, "tally:", err)
	return exitFailed
}

// New makes the command tree.
func New() *cobra.Command {
	root := &cobra.Command{
		Use:   "tally",
		Short: "A log system whose every line is accounted for",
		Long: `tally serves, searches and manages logs.

The clients use these environment variables:
  TALLY_URL                    address of the server (default http://127.0.0.1:5080)
  TALLY_TOKEN                  an API token, or
  TALLY_USER, TALLY_PASSWORD   a user

Exit codes: 0 done, 1 it failed, 2 wrong usage or configuration, 3 credentials missing or refused, 4 the answer is partial.`,
		Version:       Version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fail(exitUsage, "%v; see %s --help", err, c.CommandPath())
	})
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(serveCommand(), fsckCommand(), cleanCommand(), pluginCommand(), queryCommand(), tailCommand(), exportCommand(), pushCommand(), sourcesCommand(), explainCommand(),
		tokenCommand(), userCommand(), tenantCommand(), applogCommand(), deadLettersCommand(), storageCommand())
	strict(root)
	return root
}

// strict turns wrong arguments of every command into usage errors.
func strict(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return fail(exitUsage, "%v; see %s --help", err, c.CommandPath())
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		strict(sub)
	}
	if c.HasSubCommands() && c.Run == nil && c.RunE == nil {
		c.Args = cobra.ArbitraryArgs
		c.RunE = func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fail(exitUsage, "unknown command %q; see %s --help", args[0], c.CommandPath())
			}
			return c.Help()
		}
	}
}

// stdin is what a command reads when nothing else is named.
func stdin(c *cobra.Command) io.Reader { return c.InOrStdin() }

// stdoutIsTerminal tells whether people read the output.
func stdoutIsTerminal(c *cobra.Command) bool {
	f, ok := c.OutOrStdout().(*os.File)
	return ok && isTerminal(f)
}
