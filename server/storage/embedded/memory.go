package embedded

import (
	"flag"
	"strconv"

	"github.com/tallylog/tally/server/storage/embedded/quiet"
)

func init() { quiet.Restore() }

// LimitMemory tells logstorage how much memory its caches and buffers may be sized for; without it that is 60 % of the machine.
// logstorage reads the bound from a flag of its own, once, and insists that flags were parsed, so this must be called before
// the first Open of a process whose command line is parsed by other means.
func LimitMemory(bytes int64) error {
	if err := flag.Set("memory.allowedBytes", strconv.FormatInt(bytes, 10)); err != nil {
		return err
	}
	if !flag.Parsed() {
		return flag.CommandLine.Parse(nil)
	}
	return nil
}
