// Command tallybeat is the agent: a libbeat beat that reads journals and log files on a node.
package main

import (
	"os"

	"github.com/tallylog/tally/beat"
)

func main() {
	if err := beat.Command().Execute(); err != nil {
		os.Exit(1)
	}
}
