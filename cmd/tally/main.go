// Command tally is the server and the command line.
package main

import (
	"os"

	"github.com/tallylog/tally/server/cmd"
)

func main() { os.Exit(cmd.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
