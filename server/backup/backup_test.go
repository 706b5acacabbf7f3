package backup

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func tree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"a": "alpha", "store/rows/x": strings.Repeat("row ", 500), "store/empty": "", "wal/lock": "no", "z": "omega"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func archive(t testing.TB, dir string) []byte {
	t.Helper()
	var b bytes.Buffer
	m := Manifest{Seq: 7, Time: time.Unix(1, 0).UTC(), Store: "embedded", WithStore: true}
	if err := Write(&b, dir, func(name string) bool { return name != "wal" }, &m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRestore(t *testing.T) {
	b := archive(t, tree(t))
	dir := filepath.Join(t.TempDir(), "data")
	m, err := Restore(bytes.NewReader(b), dir)
	if err != nil || m.Seq != 7 || len(m.Files) != 4 {
		t.Fatalf("%+v, %v", m, err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "store/rows/x")); err != nil || string(text) != strings.Repeat("row ", 500) {
		t.Errorf("%q, %v", text, err)
	}
	if Unfinished(dir) {
		t.Error("the restore is not finished")
	}
	if _, err := Restore(bytes.NewReader(b), dir); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("into a directory that is not empty: %v", err)
	}
	// One that was cut off before anything was in place may be begun again.
	half := t.TempDir()
	if err := os.MkdirAll(filepath.Join(half, RestoringDir, "store"), 0o755); err != nil {
		t.Fatal(err)
	}
	if !Unfinished(half) {
		t.Error("an unfinished restore is not known")
	}
	if _, err := Restore(bytes.NewReader(b), half); err != nil {
		t.Error(err)
	}
}

// A backup that is cut off anywhere, or has any bit flipped that counts, is refused, and nothing is written.
func TestDamaged(t *testing.T) {
	b := archive(t, tree(t))
	dir := filepath.Join(t.TempDir(), "data")
	refused := func(what string, at int, b []byte) {
		t.Helper()
		_, err := Restore(bytes.NewReader(b), dir)
		if err == nil {
			t.Fatalf("%s at byte %d is not noticed", what, at)
		}
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("%s at byte %d: something was written", what, at)
		}
	}
	end := bytes.Index(b, []byte(manifestName)) + 512
	for n := 0; n < end; n += 97 {
		refused("the end", n, b[:n])
	}
	for n := 0; n < end; n++ {
		if meansNothing(b, n) {
			continue
		}
		flipped := bytes.Clone(b)
		flipped[n] ^= 1 << (n % 8)
		// Times and modes of files are no content; their header has a checksum of its own.
		refused("a flipped bit", n, flipped)
	}
}

// meansNothing tells whether byte n is padding behind a file, or of the checksum of a header, which can be written in several ways.
func meansNothing(b []byte, n int) bool {
	block := n / 512 * 512
	if bytes.HasPrefix(b[block+257:], []byte("ustar")) {
		return n-block >= 148 && n-block < 156
	}
	return n >= block+len(bytes.TrimRight(b[block:block+512], "\x00"))
}

func FuzzVerify(f *testing.F) {
	var b bytes.Buffer
	if err := Write(&b, f.TempDir(), func(string) bool { return true }, &Manifest{}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := Verify(bytes.NewReader(b)); err == nil && m.Format != format {
			t.Error("a backup without a manifest is taken for whole")
		}
	})
}
