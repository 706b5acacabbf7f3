package rig

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Journal is a journal file that systemd-journal-remote writes, in numbered lines.
type Journal struct {
	t     testing.TB
	Path  string
	Lines int // written so far: "NAME line 0 …" and on
	name  string

	entries int
}

// NewJournal prepares the journal system.journal in a directory. name begins every line.
func NewJournal(t testing.TB, dir, name string) *Journal {
	t.Helper()
	return &Journal{t: t, Path: filepath.Join(dir, "system.journal"), name: name}
}

func (j *Journal) remote() *exec.Cmd {
	j.t.Helper()
	for _, dir := range []string{"/usr/lib/systemd", "/lib/systemd"} {
		if program := filepath.Join(dir, "systemd-journal-remote"); exec.Command(program, "--version").Run() == nil {
			return exec.Command(program, "-o", j.Path, "-")
		}
	}
	j.t.Fatal("systemd-journal-remote is not installed; these tests write their journals with it")
	return nil
}

// entry writes the next numbered line, with as many fields that no other entry has as distinct says: they
// fill the file's tables, and systemd-journal-remote rotates it.
func (j *Journal) entry(w io.Writer, distinct int) {
	i := j.Lines
	j.Lines++
	j.say(w, fmt.Sprintf("%s line %d of a journal", j.name, i), distinct)
}

// say writes an entry in systemd's Journal Export Format.
func (j *Journal) say(w io.Writer, message string, distinct int) {
	i := j.entries
	j.entries++
	fmt.Fprintf(w, "__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=0123456789abcdef0123456789abcdef\n", 1_767_000_000_000_000+int64(i)*1000, 1000+i*1000)
	fmt.Fprintf(w, "MESSAGE=%s\nPRIORITY=6\n_HOSTNAME=node1\n_SYSTEMD_UNIT=docker.service\nCONTAINER_NAME=k8s_web_web-%d_default_1-2_0\n", message, i%7)
	for f := range distinct {
		fmt.Fprintf(w, "F%d=%d-%d\n", f, i, f)
	}
	fmt.Fprintln(w)
}

// Write appends n entries.
func (j *Journal) Write(n, distinct int) {
	j.t.Helper()
	var b bytes.Buffer
	for range n {
		j.entry(&b, distinct)
	}
	j.append(&b)
}

// Say appends entries with messages that are not numbered.
func (j *Journal) Say(messages ...string) {
	j.t.Helper()
	var b bytes.Buffer
	for _, m := range messages {
		j.say(&b, m, 0)
	}
	j.append(&b)
}

func (j *Journal) append(b *bytes.Buffer) {
	j.t.Helper()
	cmd := j.remote()
	cmd.Stdin = b
	if out, err := cmd.CombinedOutput(); err != nil {
		j.t.Fatalf("cannot write %q: %v\n%s", j.Path, err, out)
	}
}

// Rotate archives the file as journald does, and begins a new one that goes on with its numbers. It returns the archive.
func (j *Journal) Rotate() string {
	j.t.Helper()
	header := make([]byte, 176)
	f, err := os.Open(j.Path)
	if err == nil {
		_, err = f.ReadAt(header, 0)
		f.Close()
	}
	if err != nil {
		j.t.Fatal(err)
	}
	head := binary.LittleEndian.Uint64(header[168:])
	archive := fmt.Sprintf("%s@%x-%016x-%016x.journal", j.Path[:len(j.Path)-len(".journal")], header[72:88], head, head)
	if err := os.Rename(j.Path, archive); err != nil {
		j.t.Fatal(err)
	}
	Patch(j.t, archive, 16, []byte{2})
	// The new file is made beside, so that it has its numbers when it appears.
	next := &Journal{t: j.t, Path: filepath.Join(j.t.TempDir(), "new.journal")}
	next.GoOn(archive)
	if err := os.Rename(next.Path, j.Path); err != nil {
		j.t.Fatal(err)
	}
	return archive
}

// GoOn makes the file, empty, as one that goes on with the numbers of another.
func (j *Journal) GoOn(other string) {
	j.t.Helper()
	header := make([]byte, 168)
	f, err := os.Open(other)
	if err == nil {
		_, err = f.ReadAt(header, 0)
		f.Close()
	}
	if err != nil {
		j.t.Fatal(err)
	}
	j.Write(0, 0)
	Patch(j.t, j.Path, 72, header[72:88])
	Patch(j.t, j.Path, 160, header[160:168])
}

// Patch overwrites bytes of a file.
func Patch(t testing.TB, path string, at int64, b []byte) {
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
