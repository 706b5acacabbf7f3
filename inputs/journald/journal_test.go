package journald

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// remoteCommand is systemd-journal-remote, which writes journal files from the export format; the Debian package has its
// name.
func remoteCommand(t testing.TB) string {
	for _, dir := range []string{"/usr/lib/systemd", "/lib/systemd"} {
		if p := filepath.Join(dir, "systemd-journal-remote"); isFile(p) {
			return p
		}
	}
	t.Fatal("systemd-journal-remote is not installed; these tests write their journals with it")
	return ""
}

func isFile(p string) bool { st, err := os.Stat(p); return err == nil && st.Mode().IsRegular() }

const testBoot = "0123456789abcdef0123456789abcdef"

// baseTime is the realtime of entry 0 of the tests, in microseconds.
const baseTime = 1_700_000_000_000_000

// export collects entries in systemd's Journal Export Format.
type export struct {
	bytes.Buffer
	n int
}

// add appends an entry: names and values in turn. Entries are a millisecond apart.
func (x *export) add(fields ...string) *export {
	fmt.Fprintf(x, "__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=%s\n", baseTime+1000*x.n, 1000+1000*x.n, testBoot)
	for i := 0; i < len(fields); i += 2 {
		name, value := fields[i], fields[i+1]
		if !bytes.ContainsFunc([]byte(value), func(r rune) bool { return r < ' ' || r == 0xFFFD }) {
			fmt.Fprintf(x, "%s=%s\n", name, value)
			continue
		}
		fmt.Fprintf(x, "%s\n", name)
		_ = binary.Write(x, binary.LittleEndian, uint64(len(value)))
		fmt.Fprintf(x, "%s\n", value)
	}
	x.WriteByte('\n')
	x.n++
	return x
}

// lines appends n plain entries with the messages "line <number>".
func (x *export) lines(n int) *export {
	for range n {
		x.add("MESSAGE", fmt.Sprintf("line %d", x.n), "_HOSTNAME", "node1", "PRIORITY", "6", "_SYSTEMD_UNIT", "a.service")
	}
	return x
}

// write appends the collected entries to the journal file and forgets them.
func (x *export) write(t testing.TB, path string) {
	t.Helper()
	cmd := exec.Command(remoteCommand(t), "-o", path, "-")
	cmd.Stdin = &x.Buffer
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cannot write journal %q: %v\n%s", path, err, out)
	}
	x.Reset()
}

// archive rotates a journal file away as journald does: the name gets an @ part, and the header says that it is complete.
func archive(t testing.TB, path string) string {
	t.Helper()
	f, err := statFile(path)
	if err != nil {
		t.Fatal(err)
	}
	to := fmt.Sprintf("%s@%s-%016x-%016x.journal", path[:len(path)-len(".journal")], f.seqID, f.head, uint64(baseTime)+f.head)
	if err := os.Rename(path, to); err != nil {
		t.Fatal(err)
	}
	patch(t, to, 16, []byte{stateArchived})
	return to
}

// succeed makes an empty journal file that goes on with the numbers of an older one, as journald does at rotation.
func succeed(t testing.TB, old, path string) {
	t.Helper()
	b := make([]byte, headerBytes)
	h, err := os.Open(old)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if _, err := h.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	// It is made beside, so that it has its numbers when it appears.
	tmp := filepath.Join(t.TempDir(), "new.journal")
	new(export).write(t, tmp)
	patch(t, tmp, 72, b[72:88])
	patch(t, tmp, 160, b[160:168])
	if err := os.Rename(tmp, path); err != nil {
		t.Fatal(err)
	}
}

// rotate archives the file and begins a new one; it returns the archive's name.
func rotate(t testing.TB, path string) string {
	t.Helper()
	old := archive(t, path)
	succeed(t, old, path)
	return old
}

func patch(t testing.TB, path string, at int64, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}
