package beat

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/elastic/beats/v7/filebeat/fileset"
	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/cfgfile"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/common/reload"
	"github.com/elastic/beats/v7/libbeat/logp"
	"github.com/elastic/beats/v7/libbeat/paths"
)

// dynamic loads the files of config.inputs or config.modules in Filebeat's place, which would not know keys of older versions in them. A
// file that cannot be used is named with its place, and the inputs that it gave before run on.
type dynamic struct {
	info   beat.Info
	list   string // "inputs" or "modules"
	fields bool   // its events have the fields of version 5
	config cfgfile.DynamicConfig
	log    *logp.Logger
	files  map[string]*dynamicFile
}

// dynamicFile is what is known of one file.
type dynamicFile struct {
	sum     [sha256.Size]byte
	configs []*common.Config // of the last time that it could be used
}

// newDynamic returns nil where the configuration has no such files.
func newDynamic(info beat.Info, list string, fields bool, cfg *common.Config, log *logp.Logger) (*dynamic, error) {
	key := "config." + list
	if ok, err := cfg.Has(key, -1); err != nil || !ok {
		return nil, err
	}
	c, err := cfg.Child(key, -1)
	if err != nil || !c.Enabled() {
		return nil, err
	}
	d := &dynamic{info: info, list: list, fields: fields, config: cfgfile.DefaultDynamicConfig, log: log, files: map[string]*dynamicFile{}}
	if err := c.Unpack(&d.config); err != nil {
		return nil, fmt.Errorf("%w accessing '%s.%s'", err, info.Beat, key)
	}
	return d, nil
}

func (d *dynamic) pattern() string {
	if filepath.IsAbs(d.config.Path) {
		return d.config.Path
	}
	return paths.Resolve(paths.Config, d.config.Path)
}

// check refuses files that cannot be used, where they are read once. Those that are read again may be mended meanwhile.
func (d *dynamic) check() error {
	if d.config.Reload.Enabled {
		return nil
	}
	files, err := filepath.Glob(d.pattern())
	if err != nil {
		return fmt.Errorf("cannot list %q: %w", d.pattern(), err)
	}
	return d.load(files)
}

// load looks at the files again that have changed. The error tells about all that cannot be used.
func (d *dynamic) load(names []string) error {
	var failed []error
	for name := range d.files {
		if !slices.Contains(names, name) {
			delete(d.files, name)
		}
	}
	for _, name := range names {
		if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			failed = append(failed, fmt.Errorf("cannot read configuration %q: %w", name, err))
			continue
		}
		f, sum := d.files[name], sha256.Sum256(text)
		if f != nil && f.sum == sum {
			continue
		}
		if f == nil {
			f = &dynamicFile{}
			d.files[name] = f
		}
		f.sum = sum
		configs, notes, err := d.read(name, text)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		for _, line := range notes {
			d.log.Warn(line)
		}
		f.configs = configs
	}
	return errors.Join(failed...)
}

// read returns the inputs, or modules, of one file in native words.
func (d *dynamic) read(name string, text []byte) (configs []*common.Config, notes []string, err error) {
	native, err := cfgfile.LoadList(name) // it looks at the file's owner, too
	if err != nil {
		return nil, nil, unreadable(name, err)
	}
	configs, notes, err = translateFile(name, text, d.list, d.fields)
	if err != nil {
		return nil, nil, err
	}
	if configs == nil {
		configs = native
	}
	for i, c := range configs {
		if !c.Enabled() {
			continue
		}
		if err := d.usable(c); err != nil {
			return nil, nil, fmt.Errorf("cannot use configuration %q: %w%s", name, err, at(name, fmt.Sprint(i), err))
		}
	}
	return configs, notes, nil
}

// at names the place of an error about an element of a file's list: of the key that the error is about, where that is there.
func at(name, index string, err error) string {
	best := placeOf([]string{name}, index)
	for _, m := range accessing.FindAllStringSubmatch(err.Error(), -1) {
		for _, key := range []string{index + "." + m[1], m[1]} {
			if p := placeOf([]string{name}, key); p != "" && strings.HasSuffix(p, key) {
				best = p
			}
		}
	}
	if best == "" {
		return fmt.Sprintf("\n  at %s", name)
	}
	return "\n  at " + best
}

// usable says why an input, or a module with all its inputs, cannot run.
func (d *dynamic) usable(c *common.Config) error {
	// What is tried is a copy, as a factory may change it.
	tried, err := common.NewConfigFrom(c)
	if err != nil {
		return err
	}
	if d.list == "inputs" {
		return checkInput(d.info.Beat, tried)
	}
	modules, err := fileset.NewModuleRegistry([]*common.Config{tried}, d.info, false)
	if err != nil {
		return err
	}
	inputs, err := modules.GetInputConfigs()
	if err != nil {
		return err
	}
	for _, in := range inputs {
		if err := checkInput(d.info.Beat, in); in.Enabled() && err != nil {
			return err
		}
	}
	return nil
}

// configs are those of all files, in the order of the files' names.
func (d *dynamic) configs() (all []*reload.ConfigWithMeta) {
	for _, name := range slices.Sorted(maps.Keys(d.files)) {
		for _, c := range d.files[name].configs {
			if c.Enabled() {
				all = append(all, &reload.ConfigWithMeta{Config: c})
			}
		}
	}
	return all
}

// run keeps what runs in line with the files until stop is closed. fail is told, once, that what is read once cannot run.
func (d *dynamic) run(stop <-chan struct{}, fail func(error)) {
	list := d.registered(stop)
	if list == nil {
		return
	}
	watch, force := cfgfile.NewGlobWatcher(d.pattern()), true
	for period := time.Duration(0); ; period = d.config.Reload.Period {
		select {
		case <-stop:
			return
		case <-time.After(period):
		}
		files, updated, err := watch.Scan()
		if err != nil {
			d.log.Errorf("cannot list %q: %v", d.pattern(), err)
		}
		if err != nil || !updated && !force {
			continue
		}
		if err := d.load(files); err != nil {
			d.log.Errorf("what ran before of these files runs on: %v", err)
		}
		err = list.Reload(d.configs())
		force = err != nil
		if d.config.Reload.Enabled {
			continue
		}
		if err != nil {
			fail(fmt.Errorf("cannot start what the files %q name: %w", d.pattern(), err))
			return
		}
		d.log.Info("Loading of config files completed.")
		return
	}
}

// registered waits until Filebeat offers its list of what runs; nil when it is stopped before.
func (d *dynamic) registered(stop <-chan struct{}) reload.ReloadableList {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if list := reload.Register.GetReloadableList("filebeat." + d.list); list != nil {
			return list
		}
		select {
		case <-stop:
			return nil
		case <-tick.C:
		}
	}
}

// dynamics are those of one configuration, while they run.
type dynamics struct {
	all     []*dynamic
	stop    chan struct{}
	running sync.WaitGroup
	once    sync.Once

	mu     sync.Mutex
	failed error
}

// newDynamics makes them, and refuses files that are read once and cannot be used.
func newDynamics(info beat.Info, fields bool, cfg *common.Config, log *logp.Logger) (*dynamics, error) {
	ds := &dynamics{stop: make(chan struct{})}
	for _, list := range []string{"inputs", "modules"} {
		d, err := newDynamic(info, list, fields && list == "inputs", cfg, log)
		if err != nil {
			return nil, err
		}
		if d == nil {
			continue
		}
		if err := d.check(); err != nil {
			return nil, err
		}
		ds.all = append(ds.all, d)
	}
	return ds, nil
}

// start begins to load, in Filebeat's place, which is told that it has nothing to load. halt ends the beat.
func (ds *dynamics) start(cfg *common.Config, halt func()) error {
	for _, d := range ds.all {
		c, err := cfg.Child("config."+d.list, -1)
		if err == nil {
			err = c.SetBool("enabled", -1, false)
		}
		if err != nil {
			return fmt.Errorf("cannot take over config.%s: %w", d.list, err)
		}
		ds.running.Go(func() {
			d.run(ds.stop, func(err error) {
				ds.mu.Lock()
				ds.failed = err
				ds.mu.Unlock()
				go halt() // which waits for this to end
			})
		})
	}
	return nil
}

// end ends the loading; nothing is started afterwards.
func (ds *dynamics) end() {
	ds.once.Do(func() { close(ds.stop) })
	ds.running.Wait()
}

// err is why the beat was ended.
func (ds *dynamics) err() error {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	return ds.failed
}
