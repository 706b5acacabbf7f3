package applog

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/common/cfgtype"
	"github.com/elastic/beats/v7/libbeat/common/match"
	"github.com/elastic/beats/v7/libbeat/reader/readfile/encoding"
	"github.com/elastic/beats/v7/libbeat/reader/readjson"
	"golang.org/x/sys/unix"

	"github.com/tallylog/tally/inputs/multiline"
)

// config is what stands in the configuration file; README.md explains each key.
type config struct {
	Paths          []string          `config:"paths" validate:"required"`
	ExcludeFiles   []match.Matcher   `config:"exclude_files"`
	IgnoreOlder    time.Duration     `config:"ignore_older" validate:"min=0"`
	Encoding       string            `config:"encoding"`
	MaxBytes       cfgtype.ByteSize  `config:"max_bytes"`
	Start          string            `config:"start"`
	RescanInterval time.Duration     `config:"rescan_interval"`
	PartialTimeout time.Duration     `config:"partial_timeout"`
	MaxOpenFiles   int               `config:"max_open_files" validate:"min=0"`
	Multiline      *multiline.Config `config:"multiline"`
	Container      *container        `config:"container"`
	JSON           *readjson.Config  `config:"json"`
	IncludeLines   []match.Matcher   `config:"include_lines"`
	ExcludeLines   []match.Matcher   `config:"exclude_lines"`
	TailFiles      bool              `config:"tail_files"`
	ScanFrequency  time.Duration     `config:"scan_frequency" validate:"min=0"`
	HarvesterLimit int               `config:"harvester_limit" validate:"min=0"`
	MaxInFlight    cfgtype.ByteSize  `config:"max_in_flight"`
	Registry       string            `config:"registry"`

	patterns []pattern
	codec    encoding.EncodingFactory
}

func defaults() config {
	return config{
		MaxBytes:       1 << 20,
		Start:          "head",
		RescanInterval: 5 * time.Second,
		PartialTimeout: 30 * time.Second,
		MaxInFlight:    16 << 20,
		Registry:       registryAuto,
	}
}

// commonKeys are the settings that libbeat and Filebeat handle around every input.
var commonKeys = []string{
	"type", "id", "enabled", "fields", "fields_under_root", "tags", "processors", "keep_null", "publisher_pipeline",
	"service", "pipeline", "index", "_module_name", "_fileset_name",
}

var ownKeys = []string{
	"paths", "exclude_files", "ignore_older", "encoding", "max_bytes", "start", "rescan_interval", "partial_timeout",
	"max_open_files", "max_in_flight", "multiline", "container", "json", "include_lines", "exclude_lines",
	"tail_files", "scan_frequency", "harvester_limit", "registry",
}

// without are options of Filebeat's that have nothing to do here, and why.
var without = map[string]string{
	"close_inactive": closing, "close_removed": closing, "close_renamed": closing, "close_eof": closing, "close_timeout": closing, "close": closing,
	"clean_inactive": cleaning, "clean_removed": cleaning,
	"symlinks":              "symbolic links are always followed, and a file with several names is read once",
	"recursive_glob":        "** always stands for up to 8 directories",
	"backoff":               "inotify tells of every write",
	"max_backoff":           "inotify tells of every write",
	"backoff_factor":        "inotify tells of every write",
	"file_identity":         "inode, birth time and first line identify a file",
	"parsers":               "container, json and multiline are keys of the input, and are always applied in this order",
	"harvester_buffer_size": "reading is by 128 KiB",
	"prospector":            "paths, rescan_interval and exclude_files are keys of the input",
	"document_type":         "fields.type has this meaning",
}

const (
	closing  = "a file stays open until all that it can give is acknowledged; max_open_files bounds their number"
	cleaning = "a file that is gone is forgotten a week later"
)

// parse reads and checks the configuration of one input. A key that nobody reads is an error.
func parse(c *common.Config) (config, error) {
	cfg := defaults()
	for _, k := range c.GetFields() {
		key := strings.Split(k, ".")[0]
		if why := without[key]; why != "" {
			return cfg, fmt.Errorf("cannot use applog input: %q has no place in it: %s", k, why)
		}
		if !slices.Contains(ownKeys, key) && !slices.Contains(commonKeys, key) {
			return cfg, fmt.Errorf("cannot use applog input: unknown key %q (its keys are %s)", k, strings.Join(ownKeys, ", "))
		}
	}
	if err := c.Unpack(&cfg); err != nil {
		return cfg, fmt.Errorf("cannot use applog input: %w", err)
	}
	if err := cfg.complete(); err != nil {
		return cfg, fmt.Errorf("cannot use applog input: %w", err)
	}
	return cfg, nil
}

func (c *config) complete() error {
	if c.TailFiles {
		c.Start = "tail"
	}
	if c.ScanFrequency > 0 {
		c.RescanInterval = c.ScanFrequency
	}
	if c.MaxOpenFiles == 0 {
		c.MaxOpenFiles = c.HarvesterLimit
	}
	if c.JSON != nil && c.Multiline != nil && c.JSON.MessageKey == "" {
		return errors.New("json with multiline needs json.message_key, whose texts are joined")
	}
	if c.Start != "head" && c.Start != "tail" {
		return fmt.Errorf("start is %q, want head or tail", c.Start)
	}
	var ok bool
	if c.codec, ok = encoding.FindEncoding(c.Encoding); !ok || c.codec == nil {
		return fmt.Errorf("unknown encoding %q", c.Encoding)
	}
	for key, v := range map[string]int64{
		"max_bytes": int64(c.MaxBytes), "max_in_flight": int64(c.MaxInFlight),
		"rescan_interval": int64(c.RescanInterval), "partial_timeout": int64(c.PartialTimeout),
	} {
		if v <= 0 {
			return fmt.Errorf("%s must be above 0", key)
		}
	}
	if c.Registry != registryAuto && c.Registry != registryNone && !filepath.IsAbs(c.Registry) {
		return fmt.Errorf("registry is %q, want %s, %s, or the absolute path of a registry of Filebeat", c.Registry, registryAuto, registryNone)
	}
	if c.MaxBytes > 1<<30 {
		return errors.New("max_bytes is above 1 GiB")
	}
	for _, p := range c.Paths {
		abs, err := filepath.Abs(p)
		if err != nil {
			return err
		}
		pat, err := compile(abs)
		if err != nil {
			return err
		}
		c.patterns = append(c.patterns, pat)
	}
	if c.MaxOpenFiles == 0 {
		c.MaxOpenFiles = openLimit()
	}
	return nil
}

// openLimit is half of the descriptors that the process may have, at most 4096: idle files beyond it are closed and opened
// again when they grow.
func openLimit() int {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 512
	}
	return int(max(16, min(l.Cur/2, 4096)))
}

// wants says whether the configuration does not exclude path.
func (c *config) wants(path string) bool {
	for _, m := range c.ExcludeFiles {
		if m.MatchString(path) {
			return false
		}
	}
	return true
}
