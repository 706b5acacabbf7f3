// Command tallybeat is the agent: a libbeat beat that reads journals and log files on a node.
package main

import (
	"os"

	fbcmd "github.com/elastic/beats/v7/filebeat/cmd"
	inputs "github.com/elastic/beats/v7/filebeat/input/default-inputs"
)

func main() {
	if err := fbcmd.Filebeat(inputs.Init, fbcmd.FilebeatSettings()).Execute(); err != nil {
		os.Exit(1)
	}
}
