package beat

import (
	"fmt"
	"os"
	"sync"

	"github.com/spf13/cobra"

	fbcmd "github.com/elastic/beats/v7/filebeat/cmd"
	"github.com/elastic/beats/v7/libbeat/asset"
	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/cmd"
	"github.com/elastic/beats/v7/libbeat/cmd/instance"

	"github.com/tallylog/tally/outputs"
)

// Name is the beat's name: its root key, the default of its configuration file and of its index.
const Name = "tallybeat"

// Command returns the root command with Filebeat's sub-commands. It may be called once in a process, as libbeat keeps its
// flags in global variables.
func Command() *cmd.BeatsRootCmd {
	settings := fbcmd.FilebeatSettings()
	settings.Name = Name
	// The agent's version stays libbeat's, as Logstash and Elasticsearch choose templates by it.
	// Filebeat's fields describe what its modules and inputs put into events, whatever the beat is called.
	asset.FieldsRegistry[Name] = asset.FieldsRegistry["filebeat"]

	running, stopping := make(chan struct{}), make(chan struct{})
	outputs.Register(running, stopping)
	settings.ConfigOverrides = append(settings.ConfigOverrides, severalOutputs(fatal))
	create := creator(sync.OnceFunc(func() { close(running) }), sync.OnceFunc(func() { close(stopping) }))

	root := fbcmd.Filebeat(plugins(nil, false), settings)
	run := func(*cobra.Command, []string) {
		exit(instance.Run(settings, create))
	}
	root.Run, root.RunCmd.Run = withChecks(run), withChecks(run)
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

// exit ends the process when there was an error, which libbeat has printed; the place it has in the file comes after.
func exit(err error) {
	if err == nil {
		return
	}
	for _, p := range places(configFiles(), asWritten(configFiles(), err.Error())) {
		fmt.Fprintf(os.Stderr, "  at %s\n", p)
	}
	os.Exit(1)
}

// fatal ends the process with an error that libbeat has not printed.
func fatal(err error) {
	fmt.Fprintf(os.Stderr, "Exiting: %v\n", err)
	exit(err)
}
