// Command tally is the server and its clients.
package main

import (
	_ "github.com/VictoriaMetrics/VictoriaMetrics/lib/logstorage"
	_ "github.com/elastic/go-lumber/server/v2"
	_ "github.com/klauspost/compress/zstd"
	_ "github.com/prometheus/client_golang/prometheus/promhttp"
	_ "github.com/spf13/cobra"
	_ "modernc.org/sqlite"
	_ "golang.org/x/crypto/argon2"
)

func main() {}
