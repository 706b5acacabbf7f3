package cmd

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/tallylog/tally/plugins/host"
	"github.com/tallylog/tally/processors"
	"github.com/tallylog/tally/server"
	"github.com/tallylog/tally/server/clean"
	"github.com/tallylog/tally/server/config"
	"github.com/tallylog/tally/strictyaml"
)

func serveCommand() *cobra.Command {
	var file, dir, httpAddr, ljAddr string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Run the server until SIGINT or SIGTERM. It keeps everything in one directory. The first start makes the user admin, with
TALLY_ADMIN_PASSWORD or a random password, which is printed and kept in the file admin-password of that directory.`,
		Example: `  tally serve
  tally serve --data /var/lib/tally --http 127.0.0.1:8080
  tally serve -c tally.yml`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg := config.Default()
			if file != "" {
				var err error
				if cfg, err = config.Load(file); err != nil {
					return fail(exitUsage, "%v", err)
				}
			}
			if c.Flags().Changed("http") {
				cfg.HTTP.Address = httpAddr
			}
			if c.Flags().Changed("lumberjack") {
				cfg.Lumberjack.Address = ljAddr
			}
			if err := cfg.Check(); err != nil {
				return fail(exitUsage, "%v", err)
			}
			if key, err := server.CheckFiles(&cfg); err != nil {
				return fail(exitUsage, "%v", config.Place(file, key, err))
			}
			if err := checkPipelines(cfg); err != nil {
				return fail(exitUsage, "%v", err)
			}
			return serve(c, cfg, dir, file)
		},
	}
	d := config.Default()
	c.Flags().StringVarP(&file, "config", "c", "", "configuration file (YAML)")
	c.Flags().StringVar(&dir, "data", "./data", "directory of everything that the server keeps")
	c.Flags().StringVar(&httpAddr, "http", d.HTTP.Address, "address of API and page")
	c.Flags().StringVar(&ljAddr, "lumberjack", d.Lumberjack.Address, "address for Beats; empty for none")
	return c
}

func serve(c *cobra.Command, cfg config.Config, dir, file string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	log := newLogger(c, cfg.Log)
	tuneMemory()
	out := c.OutOrStdout()
	var reload chan os.Signal
	if file != "" || cfg.HTTP.TLS.Certificate != "" || cfg.Lumberjack.TLS.Certificate != "" { // else SIGHUP ends the process, as ever
		reload = make(chan os.Signal, 1)
		signal.Notify(reload, syscall.SIGHUP)
		defer signal.Stop(reload)
	}
	err = server.Run(c.Context(), server.Options{
		Config: cfg, ConfigFile: file, Dir: dir, AdminPassword: os.Getenv("TALLY_ADMIN_PASSWORD"), Log: log, Version: Version, Reload: reload, ReadPipelines: readAgain(file), ReadPlugins: pluginsAgain(file),
		Started: func(http, lumberjack, password string) {
			scheme := "http"
			if cfg.HTTP.TLS.Certificate != "" {
				scheme = "https"
			}
			fmt.Fprintf(out, "tally is ready\n  page and API  %s://%s\n", scheme, http)
			if lumberjack != "" {
				fmt.Fprintf(out, "  Lumberjack    %s\n", lumberjack)
			}
			fmt.Fprintf(out, "  data          %s\n", dir)
			if password != "" {
				fmt.Fprintf(out, "  user          admin\n  password      %s  (kept in %s)\n", password, filepath.Join(dir, "admin-password"))
			}
		},
	})
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "listen" {
		return fail(exitFailed, "%v\nIs another tally serve running? --http and --lumberjack choose other addresses.", err)
	}
	return err
}

// memoryLimit keeps the server under 500 MB: the Go heap may grow to it, but for what logstorage holds outside the heap.
const memoryLimit = 384 << 20

// tuneMemory lets the heap grow to twice what is in use between collections, up to memoryLimit: half the work of the default for
// a program whose live heap is small and whose garbage is much. GOGC and GOMEMLIMIT in the environment go before.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}

func newLogger(c *cobra.Command, cfg config.Log) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(strings.ToUpper(cfg.Level))) // checked with the configuration
	o := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(c.ErrOrStderr(), o))
	}
	return slog.New(slog.NewTextHandler(c.ErrOrStderr(), o))
}

// checkPipelines compiles the pipelines and looks at the files of their plugins, without starting any.
func checkPipelines(cfg config.Config) error {
	set := host.New(host.Options{Log: slog.New(slog.DiscardHandler)})
	d, err := set.Draft(cfg.Plugins)
	if err != nil {
		return err
	}
	if _, err := clean.Compile(cfg.Pipelines, processors.Extra{Name: "plugin", New: d.Processor}); err != nil {
		return err
	}
	return d.Check()
}

// pluginsAgain reads the plugins of the configuration file; nil without one.
func pluginsAgain(file string) func() (strictyaml.Node, error) {
	if file == "" {
		return nil
	}
	return func() (strictyaml.Node, error) {
		cfg, err := config.Load(file)
		return cfg.Plugins, err
	}
}

// readAgain reads the pipelines of the configuration file; nil without one.
func readAgain(file string) func() (strictyaml.Node, error) {
	if file == "" {
		return nil
	}
	return func() (strictyaml.Node, error) {
		cfg, err := config.Load(file)
		return cfg.Pipelines, err
	}
}
