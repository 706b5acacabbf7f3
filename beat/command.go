package beat

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/spf13/cobra"

	fbcmd "github.com/elastic/beats/v7/filebeat/cmd"
	"github.com/elastic/beats/v7/libbeat/asset"
	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/cmd"
	"github.com/elastic/beats/v7/libbeat/cmd/instance"
	"github.com/elastic/beats/v7/libbeat/monitoring"

	"github.com/tallylog/tally/beat/k8smeta"
	"github.com/tallylog/tally/beat/processing"
	"github.com/tallylog/tally/inputs/status"
	"github.com/tallylog/tally/outputs"
	"github.com/tallylog/tally/outputs/memqueue"
)

// Name is the beat's own name: its root key, the default of its configuration file and of its index.
const Name = "tallybeat"

// nameOf returns the name that the program goes by: Filebeat's or Journalbeat's where it was started under that one, else its own.
func nameOf(program string) string {
	switch name := filepath.Base(program); name {
	case "filebeat", "journalbeat":
		return name
	}
	return Name
}

// Command returns the root command with Filebeat's sub-commands. It may be called once in a process, as libbeat keeps its
// flags in global variables.
func Command() *cmd.BeatsRootCmd {
	tuneMemory()
	allowSystemCalls()
	name := nameOf(os.Args[0])
	settings := fbcmd.FilebeatSettings()
	settings.Name = name
	// The agent's version stays libbeat's, as Logstash and Elasticsearch choose templates by it.
	// Filebeat's fields describe what its modules and inputs put into events, whatever the beat is called.
	asset.FieldsRegistry[name] = asset.FieldsRegistry["filebeat"]

	running, stopping := make(chan struct{}), make(chan struct{})
	w := &wiring{
		running: sync.OnceFunc(func() { close(running) }), stopping: sync.OnceFunc(func() { close(stopping) }),
		acked: &published{}, board: &status.Board{},
	}
	outputs.Register(running, stopping)
	if err := memqueue.Register(w.acked.add); err != nil {
		fmt.Fprintf(os.Stderr, "Exiting: %v\n", err)
		os.Exit(1)
	}
	w.nodes = k8smeta.Register(running, stopping) // before the others, which leave a name that is taken
	processing.Register(monitoring.Default.NewRegistry("processors"))
	translated := &translation{beat: name, settings: recordSettings()}
	exit, fatal := ending(translated)
	translated.fail = fatal
	settings.ConfigOverrides = append(settings.ConfigOverrides, translated.override(), severalOutputs(name, fatal))
	settings.Processing = w.processing()
	create := creator(translated, w)

	root := fbcmd.Filebeat(plugins(name, states{}, &closing{}, ownOptions{}), settings)
	run := func(*cobra.Command, []string) {
		exit(instance.Run(settings, create))
	}
	root.Run, root.RunCmd.Run = withChecks(run), withChecks(run)
	root.PreRun = func(*cobra.Command, []string) { w.early.listen() }
	root.RunCmd.PreRun = root.PreRun
	for _, c := range root.Commands() {
		if c.Name() == "modules" {
			root.RemoveCommand(c)
		}
	}
	root.AddCommand(modulesCommand(settings), migrateCommand(translated.settings))
	if name == "journalbeat" {
		for _, c := range root.ExportCmd.Commands() {
			if c.Name() == "index-pattern" {
				c.Run = exportIndexPattern(settings)
			}
		}
	}
	for _, c := range root.TestCmd.Commands() {
		if c.Name() == "config" {
			c.Run = withChecks(func(*cobra.Command, []string) { exit(testConfig(settings, create)) })
		}
	}
	return root
}

func testConfig(settings instance.Settings, creator beat.Creator) error {
	b, err := instance.NewBeat(settings.Name, settings.IndexPrefix, settings.Version, settings.ElasticLicensed)
	if err != nil {
		return fmt.Errorf("cannot initialize the beat: %w", err)
	}
	return b.TestConfig(settings, creator)
}

// withChecks looks at the configuration files before libbeat does.
func withChecks(run func(*cobra.Command, []string)) func(*cobra.Command, []string) {
	return func(c *cobra.Command, args []string) {
		if err := checkFiles(configFiles()); err != nil {
			fmt.Fprintf(os.Stderr, "Exiting: %v\n", err)
			os.Exit(1)
		}
		run(c, args)
	}
}

// ending returns two ways to end the process with an error, if it is one, and the place it has in the files: exit for one that
// libbeat has printed, fatal for one that it has not.
func ending(t *translation) (exit, fatal func(error)) {
	exit = func(err error) {
		if err == nil {
			return
		}
		for _, p := range slices.Compact(places(configFiles(), t.asWritten(asWritten(configFiles(), err.Error())))) {
			fmt.Fprintf(os.Stderr, "  at %s\n", p)
		}
		os.Exit(1)
	}
	fatal = func(err error) {
		fmt.Fprintf(os.Stderr, "Exiting: %v\n", err)
		exit(err)
	}
	return exit, fatal
}
