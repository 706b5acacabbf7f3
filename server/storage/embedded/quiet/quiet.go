// Package quiet holds back what github.com/VictoriaMetrics/metrics, which logstorage imports, prints through the standard log
// when it is initialised on a machine without pressure stall information: an ERROR line before every command.
//
// It works because Go initialises packages in order of their import paths as far as their imports allow (Go specification,
// "Program initialization"): this package has no imports to wait for, that one waits for github.com/valyala/fastrand, whose
// path is behind this one's. Restore is called when all of them are initialised.
package quiet

import (
	"io"
	"log"
	"os"
)

func init() { log.SetOutput(io.Discard) }

// Restore lets the standard log print to standard error again.
func Restore() { log.SetOutput(os.Stderr) }
