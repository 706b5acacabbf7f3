package outputs

import (
	_ "unsafe" // for go:linkname

	libbeat "github.com/elastic/beats/v7/libbeat/outputs"
	_ "github.com/elastic/beats/v7/libbeat/publisher/includes" // so that libbeat's outputs are there before ours

	"github.com/tallylog/tally/outputs/fanout"
	"github.com/tallylog/tally/outputs/file"
	"github.com/tallylog/tally/outputs/lumberjack"
	"github.com/tallylog/tally/outputs/push"
)

// registry is libbeat's register of outputs. RegisterType panics for a name that is taken, and libbeat takes logstash and file
// when it is initialized; there is no other way to replace them under their names, which people's configurations, libbeat's
// metrics and its commands use. The version of libbeat is pinned; a test notices if the register is no longer this.
//
//go:linkname registry github.com/elastic/beats/v7/libbeat/outputs.outputReg
var registry map[string]libbeat.Factory

// Register makes our outputs known to libbeat: logstash and file in place of its own, fanout and tally beside them. It is called once,
// before a configuration is read. running and stopping are closed when the beat begins to run and to stop; the fan-out delivers
// nothing before, and gets ready for the end after.
func Register(running, stopping <-chan struct{}) {
	registry["logstash"] = lumberjack.New
	registry["file"] = file.New
	registry[fanout.Name] = fanout.Factory(running, stopping)
	registry[push.Name] = push.New
}
