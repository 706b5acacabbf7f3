package filebeat

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/elastic/beats/v7/filebeat/config"
	"github.com/elastic/beats/v7/filebeat/input/file"
	"github.com/elastic/beats/v7/filebeat/registrar"
	"github.com/elastic/beats/v7/libbeat/logp"
	"github.com/elastic/beats/v7/libbeat/statestore"
	"github.com/elastic/beats/v7/libbeat/statestore/backend/memlog"
)

// State is how far one file was acknowledged.
type State struct {
	Path   string    // where the file was last seen
	Inode  uint64    // 0 where the file goes by its path alone (file_identity.path)
	Device uint64    // as st_dev of stat(2)
	Offset int64     // bytes; everything before it was shipped, or left out by Filebeat
	Seen   time.Time // when the state was last written; zero where that is not known
}

// Exists says whether there is a registry at path.
func Exists(path string) bool {
	return regular(path) || regular(path+".bak") || len(stores(path)) > 0
}

// Resume lets a migration of the single file at path go on that was interrupted right after it had put the file aside. Filebeat itself
// would not find it there, and begin anew.
func Resume(path string) error {
	backup, home := path+".bak", filepath.Join(path, "filebeat")
	if !regular(backup) || regular(path) || regular(filepath.Join(home, "data.json")) || regular(filepath.Join(home, "log.json")) {
		return nil
	}
	if version, err := os.ReadFile(filepath.Join(home, "meta.json")); err == nil && !strings.Contains(string(version), `"0"`) {
		return nil // the migration had ended; this is another one's file
	}
	if err := os.MkdirAll(home, 0o750); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(home, "meta.json"), []byte(`{"version": "0"}`), 0o600); err != nil {
		return err
	}
	return os.Rename(backup, filepath.Join(home, "data.json"))
}

func regular(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// stores are the beats that have a part of a registry of version 7, Filebeat first.
func stores(path string) (beats []string) {
	for _, name := range []string{"filebeat", "tallybeat"} {
		if _, err := os.Stat(filepath.Join(path, name, "meta.json")); err == nil {
			beats = append(beats, name)
		}
	}
	return beats
}

// Read returns the states of the registry at path, which is Filebeat's setting registry.path or, before version 7, registry_file. scratch is a
// directory in which a copy of it may lie for the time of the call.
func Read(path, scratch string) ([]State, error) {
	states, err := read(path, scratch)
	if err != nil {
		return nil, fmt.Errorf("cannot read Filebeat's registry %q, which stays as it is: %w", path, err)
	}
	return states, nil
}

func read(path, scratch string) (all []State, err error) {
	if !Exists(path) {
		return nil, fmt.Errorf("there is none: %w", fs.ErrNotExist)
	}
	dir, err := os.MkdirTemp(scratch, "registry-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	root := filepath.Join(dir, "registry")
	for _, name := range []string{"", ".bak"} {
		if err := copyTree(path+name, root+name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if err := Resume(root); err != nil {
		return nil, err
	}
	if err := registrar.NewMigrator(config.Registry{Path: root, Permissions: 0o600}).Run(); err != nil {
		return nil, err
	}
	backend, err := memlog.New(logp.NewLogger("registry"), memlog.Settings{Root: root, FileMode: 0o600})
	if err != nil {
		return nil, err
	}
	registry := statestore.NewRegistry(backend)
	defer registry.Close()
	for _, beat := range stores(root) {
		states, err := statesOf(registry, beat)
		if err != nil {
			return nil, err
		}
		all = append(all, states...)
	}
	return all, nil
}

// statesOf reads what the inputs of one beat have noted.
func statesOf(registry *statestore.Registry, beat string) (states []State, err error) {
	store, err := registry.Get(beat)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	err = store.Each(func(key string, value statestore.ValueDecoder) (bool, error) {
		s, ok, err := stateOf(key, value)
		if err != nil {
			return false, fmt.Errorf("cannot decode its entry %q: %w", key, err)
		}
		if ok {
			states = append(states, s)
		}
		return true, nil
	})
	return states, err
}

// stateOf reads one entry; ok is false for those of inputs that read no files. The inputs log and container write keys like
// "filebeat::logs::native::<inode>-<device>", filestream writes "filestream::<id>::native::<inode>-<device>" and
// "filestream::<id>::path::<path>".
func stateOf(key string, value statestore.ValueDecoder) (s State, ok bool, err error) {
	if strings.HasPrefix(key, "filebeat::logs::") {
		var st file.State
		if err := value.Decode(&st); err != nil {
			return s, false, err
		}
		s = State{Path: st.Source, Offset: st.Offset, Seen: st.Timestamp}
		if st.IdentifierName != "path" {
			s.Inode, s.Device = st.FileStateOS.Inode, st.FileStateOS.Device
		}
		return s, true, nil
	}
	if !strings.HasPrefix(key, "filestream::") {
		return s, false, nil
	}
	var st struct {
		Updated time.Time
		Cursor  any // nil before the first event is acknowledged
		Meta    struct {
			Source string
		}
	}
	if err := value.Decode(&st); err != nil {
		return s, false, err
	}
	s = State{Path: st.Meta.Source, Seen: st.Updated}
	if cursor, ok := st.Cursor.(map[string]any); ok {
		switch n := cursor["offset"].(type) { // as the decoder of JSON has them
		case int64:
			s.Offset = n
		case uint64:
			s.Offset = int64(n)
		case float64:
			s.Offset = int64(n)
		}
	}
	if parts := strings.Split(key, "::"); len(parts) >= 4 && parts[len(parts)-2] == "native" {
		if _, err := fmt.Sscanf(parts[len(parts)-1], "%d-%d", &s.Inode, &s.Device); err != nil {
			return s, false, err
		}
	}
	return s, s.Path != "", nil
}

// InUse tells whether a Filebeat runs in the directory of the registry at path: it holds a lock on its path.data.
func InUse(path string) bool {
	f, err := os.Open(filepath.Join(filepath.Dir(path), "filebeat.lock"))
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}

// copyTree copies a file, or a directory with the files in it.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch target := filepath.Join(to, rel); {
		case d.IsDir():
			return os.MkdirAll(target, 0o700)
		case d.Type().IsRegular():
			return copyFile(path, target)
		}
		return nil
	})
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
