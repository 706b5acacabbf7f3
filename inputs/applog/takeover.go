package applog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sys/unix"

	"github.com/elastic/beats/v7/libbeat/common"

	"github.com/tallylog/tally/inputs/filebeat"
	"github.com/tallylog/tally/inputs/fileid"
	"github.com/tallylog/tally/inputs/positions"
)

// What the key registry may be beside a path.
const (
	registryAuto = "auto"
	registryNone = "none"
)

// takenPrefix is where the registry of positions notes, by path, the registries of Filebeat that were taken over.
const takenPrefix = "applog-registry/"

// taken is what is noted of a registry of Filebeat.
type taken struct {
	At int64 `json:"at"` // seconds
}

// takeOver makes positions of what a Filebeat has noted of files that the patterns list and that have no position yet. They are
// durable when it returns, so a crash right after it neither ships anything again nor passes over anything.
//
// A line may come twice sooner than be lost: a file is taken over only if it is certainly the one that Filebeat has read. It goes by
// inode and device, as Filebeat itself does, has the bytes that were shipped, the last of which end a line, and was there when
// Filebeat last wrote of it.
func (d *discoverer) takeOver() error {
	path, states, again, err := d.in.cfg.toTake(d.in.store, d.in.registry, d.in.scratch)
	if err != nil || path == "" {
		return err
	}
	count := 0
	for _, s := range least(states) {
		if !matches(d.in.cfg.patterns, s.Path) || !d.in.cfg.wants(s.Path) {
			continue
		}
		r, ok := d.successor(s, again)
		if !ok || d.sources[r.Source] != nil {
			continue
		}
		if err := d.in.store.Set(keyPrefix+r.Source, r); err != nil {
			return err
		}
		d.know(r).fresh = true
		d.in.log.Infof("%q goes on at offset %d, where Filebeat has stopped", s.Path, r.Offset)
		count++
	}
	if !again || count > 0 {
		if err := d.in.store.Set(takenPrefix+path, taken{At: time.Now().Unix()}); err != nil {
			return err
		}
		if err := d.in.store.Sync(); err != nil {
			return fmt.Errorf("cannot take over Filebeat's registry %q: %w", path, err)
		}
	}
	if count > 0 {
		d.in.log.Infof("took over %d files from Filebeat's registry %q", count, path)
	}
	return nil
}

// toTake reads the registry that is to be taken over; path is empty where there is none, or it has served and is gone. own is the one
// that the agent itself may have. again: it was taken over before.
func (c *config) toTake(store *positions.Store, own, scratch string) (path string, states []filebeat.State, again bool, err error) {
	path = c.Registry
	named := path != registryAuto && path != registryNone
	if path == registryAuto {
		path = own
	}
	if path == "" || path == registryNone || !named && !filebeat.Exists(path) {
		return "", nil, false, nil
	}
	var before taken
	if again, err = store.Get(takenPrefix+path, &before); err != nil {
		return "", nil, false, err
	}
	if path != own && filebeat.InUse(path) {
		return "", nil, false, fmt.Errorf("cannot take over Filebeat's registry %q: the Filebeat that it belongs to is running", path)
	}
	states, err = filebeat.Read(path, scratch)
	if errors.Is(err, fs.ErrNotExist) && again {
		return "", nil, again, nil
	}
	return path, states, again, err
}

// CheckRegistry refuses the configuration of an applog input whose registry of Filebeat cannot be taken over.
func CheckRegistry(c *common.Config, store *positions.Store, options Options) error {
	cfg, err := parse(c)
	if err != nil {
		return err
	}
	_, _, _, err = cfg.toTake(store, options.Registry, options.Scratch)
	return err
}

// least gives one state for each file: of several, as the streams of a container or several inputs have them, the one that had shipped
// least.
func least(states []filebeat.State) (out []filebeat.State) {
	index := map[string]int{}
	for _, s := range states {
		key := fmt.Sprint(s.Inode, "-", s.Device)
		if s.Inode == 0 {
			key = s.Path
		}
		i, ok := index[key]
		if !ok {
			index[key] = len(out)
			out = append(out, s)
		} else if s.Offset < out[i].Offset {
			out[i] = s
		}
	}
	return out
}

// successor is the position with which the file of s goes on; ok is false where it is not certainly that file. again: the registry was
// taken over before, so that a file which is new to us may have the inode of one that is gone.
func (d *discoverer) successor(s filebeat.State, again bool) (r record, ok bool) {
	f := find(s)
	if f == nil {
		return r, false
	}
	defer f.Close()
	fa, err := stat(f)
	if err != nil || s.Offset <= 0 || fa.size < s.Offset {
		return r, false
	}
	born := fileid.Birth(f)
	if born != 0 && !s.Seen.IsZero() && time.Unix(0, born).After(s.Seen) || born == 0 && again {
		return r, false
	}
	format, err := newFormat(d.in.cfg.Encoding, d.in.cfg.codec, f)
	if err != nil || !lineEndsAt(f, s.Offset, format.nl) {
		return r, false
	}
	head, whole, err := fileid.Head(f)
	if err != nil || !whole {
		return r, false
	}
	r = record{
		Source: fileid.Source(d.in.host, fa.ino, born, head, 0), Path: s.Path, Inode: fa.ino, Born: born,
		Head: xxhash.Sum64(head), HeadLen: len(head), Offset: s.Offset, Anchor: s.Offset, Seen: time.Now().Unix(),
	}
	r.Sum, ok = window(f, r.Anchor)
	return r, ok
}

// find opens the file of a state where Filebeat has last seen it, or, if it was renamed since, by its inode beside that.
func find(s filebeat.State) *os.File {
	paths := []string{s.Path}
	if s.Inode != 0 {
		dir := filepath.Dir(s.Path)
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if path := filepath.Join(dir, e.Name()); related(path, s.Path) {
				paths = append(paths, path)
			}
		}
	}
	for _, path := range paths {
		var st unix.Stat_t
		if unix.Stat(path, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || s.Inode != 0 && (st.Ino != s.Inode || uint64(st.Dev) != s.Device) {
			continue
		}
		f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			continue
		}
		if fa, err := stat(f); err == nil && (s.Inode == 0 || fa.inode == inode{s.Device, s.Inode}) {
			return f
		}
		f.Close()
	}
	return nil
}

// lineEndsAt says whether the bytes before at end with a newline.
func lineEndsAt(f io.ReaderAt, at int64, nl []byte) bool {
	b := make([]byte, len(nl))
	if at < int64(len(b)) {
		return false
	}
	_, err := f.ReadAt(b, at-int64(len(b)))
	return err == nil && string(b) == string(nl)
}
