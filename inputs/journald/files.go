package journald

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// localJournal is Filebeat's name for the journal of this machine.
const localJournal = "LOCAL_SYSTEM_JOURNAL"

const stateArchived = 2

// header is what the first bytes of a journal file say of it: systemd's JOURNAL_FILE_FORMAT document, "Header".
type header struct {
	seqID      id128
	head, tail uint64 // sequence numbers of the first and the last entry; head is 0 when there is none yet
	entries    uint64
	tailTime   uint64 // realtime of the last entry, microseconds since 1970
	archived   bool   // nothing will be appended any more
	flags      uint32 // incompatible flags: features the reader must know
}

// covers tells whether the file's numbers span seq.
func (h *header) covers(seq uint64) bool { return h.entries > 0 && h.head <= seq && seq <= h.tail }

// dense tells that every number from head to tail is in the file, so that a missing one is damage.
func (h *header) dense() bool { return h.entries > 0 && h.entries == h.tail-h.head+1 }

var errNoJournal = errors.New("not a journal file")

const headerBytes = 208 // up to and with tail_entry_monotonic: in every version of the format

func readHeader(r io.ReaderAt) (h header, err error) {
	var b [headerBytes]byte
	if _, err := r.ReadAt(b[:], 0); err != nil {
		if errors.Is(err, io.EOF) {
			return h, errNoJournal
		}
		return h, err
	}
	return parseHeader(&b)
}

func parseHeader(b *[headerBytes]byte) (h header, err error) {
	if string(b[:8]) != "LPKSHHRH" {
		return h, errNoJournal
	}
	h.flags = binary.LittleEndian.Uint32(b[12:])
	h.archived = b[16] == stateArchived
	copy(h.seqID[:], b[72:])
	h.entries = binary.LittleEndian.Uint64(b[152:])
	h.tail = binary.LittleEndian.Uint64(b[160:])
	h.head = binary.LittleEndian.Uint64(b[168:])
	h.tailTime = binary.LittleEndian.Uint64(b[192:])
	if h.entries > 0 && (h.head == 0 || h.head > h.tail || h.tail >= 1<<62) {
		return h, fmt.Errorf("%w: it holds %d entries numbered %d to %d", errNoJournal, h.entries, h.head, h.tail)
	}
	return h, nil
}

// inode tells files apart whatever they are called.
type inode struct{ dev, ino uint64 }

type file struct {
	header
	inode inode
	path  string
}

// refresh reads the header again, from the file that has the path now.
func (f *file) refresh() error {
	now, err := statFile(f.path)
	if err != nil {
		return err
	}
	if now.inode != f.inode || now.seqID != f.seqID {
		return fmt.Errorf("%q is another file now", f.path)
	}
	f.header = now.header
	return nil
}

func statFile(path string) (*file, error) {
	h, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	st, err := h.Stat()
	if err != nil {
		return nil, err
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok || !st.Mode().IsRegular() {
		return nil, fmt.Errorf("cannot read journal %q: %w", path, errNoJournal)
	}
	f := &file{path: path, inode: inode{uint64(sys.Dev), sys.Ino}} //nolint:unconvert // Dev is no uint64 everywhere
	if f.header, err = readHeader(h); err != nil {
		return nil, fmt.Errorf("cannot read journal %q: %w", path, err)
	}
	return f, nil
}

// location is a path of the configuration: which directories to look into, and which files there to read.
type location struct {
	dirs func() []string
	// wanted tells whether a file of such a directory is to be read. All journal files there tell which numbers exist.
	wanted func(name string) bool
	// volatile tells whether a file is in memory, so that journald may copy it to another file of the location.
	volatile func(path string) bool
}

func isJournal(name string) bool {
	return strings.HasSuffix(name, ".journal") || strings.HasSuffix(name, ".journal~")
}

// locate resolves a path: the machine's own journal (empty or localJournal), a directory (with the directories in it that
// are named by a machine id, as journalctl --directory does), or a file, which stands for itself and for the siblings it
// is rotated into (system.journal, system@….journal, system@….journal~). What does not exist yet is a file by its suffix.
func locate(path string) location {
	none := func(string) bool { return false }
	if path == "" || path == localJournal {
		return location{dirs: machineDirs, wanted: isJournal, volatile: func(path string) bool { return strings.HasPrefix(path, "/run/") }}
	}
	path = filepath.Clean(path)
	st, err := os.Stat(path)
	if err == nil && st.IsDir() || err != nil && !isJournal(path) {
		return location{dirs: func() []string { return append(machineSubdirs(path), path) }, wanted: isJournal, volatile: none}
	}
	dir, base := filepath.Split(path)
	rotated := strings.TrimSuffix(base, ".journal") + "@"
	return location{
		dirs:     func() []string { return []string{filepath.Clean(dir)} },
		wanted:   func(name string) bool { return name == base || strings.HasPrefix(name, rotated) && isJournal(name) },
		volatile: none,
	}
}

func machineDirs() (dirs []string) {
	b, err := os.ReadFile("/etc/machine-id")
	if err != nil {
		return nil
	}
	for _, root := range []string{"/run/log/journal", "/var/log/journal"} {
		dirs = append(dirs, filepath.Join(root, strings.TrimSpace(string(b))))
	}
	return dirs
}

func machineSubdirs(root string) (dirs []string) {
	entries, _ := os.ReadDir(root)
	for _, e := range entries {
		if _, err := parseID128(strings.ReplaceAll(e.Name(), "-", "")); err == nil && e.IsDir() {
			dirs = append(dirs, filepath.Join(root, e.Name()))
		}
	}
	return dirs
}

// listing is the state of a location at one moment.
type listing struct {
	// wanted are the files to read, others the further journal files beside them, both by sequence-number id and in
	// order of their first number.
	wanted, others map[id128][]*file
	// bad are files that could not be read, with the reason.
	bad map[string]error
}

// list reads the directories of l. A file that is renamed meanwhile may be missed or seen twice, which the caller finds out
// by listing again; directories that do not exist (yet) hold nothing.
func (l location) list() listing {
	ls := listing{wanted: map[id128][]*file{}, others: map[id128][]*file{}, bad: map[string]error{}}
	seen := map[inode]bool{}
	for _, dir := range l.dirs() {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			ls.bad[dir] = err
		}
		for _, e := range entries {
			if !isJournal(e.Name()) && !l.wanted(e.Name()) {
				continue
			}
			f, err := statFile(filepath.Join(dir, e.Name()))
			switch {
			case errors.Is(err, os.ErrNotExist):
			case err != nil && l.wanted(e.Name()):
				ls.bad[filepath.Join(dir, e.Name())] = err
			case err != nil || seen[f.inode]:
			case l.wanted(e.Name()):
				seen[f.inode] = true
				ls.wanted[f.seqID] = append(ls.wanted[f.seqID], f)
			default:
				ls.others[f.seqID] = append(ls.others[f.seqID], f)
			}
		}
	}
	for _, group := range []map[id128][]*file{ls.wanted, ls.others} {
		for _, fs := range group {
			slices.SortFunc(fs, byHead)
		}
	}
	return ls
}

func byHead(a, b *file) int {
	return cmp.Or(cmp.Compare(a.head, b.head), strings.Compare(a.path, b.path))
}
