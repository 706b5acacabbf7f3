package applog

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/elastic/beats/v7/libbeat/common"
)

// naive expands ** as the documentation says and leaves the rest to path/filepath.
func naive(glob, path string) bool {
	segs := strings.Split(strings.TrimPrefix(filepath.Clean(glob), "/"), "/")
	i := slices.Index(segs, "**")
	if i < 0 {
		ok, _ := filepath.Match(filepath.Clean(glob), path)
		return ok
	}
	rest := segs[i+1:]
	if len(rest) == 0 {
		rest = []string{"*"}
	}
	for k := 0; k <= maxDepth; k++ {
		p := slices.Concat(segs[:i], slices.Repeat([]string{"*"}, k), rest)
		if ok, _ := filepath.Match("/"+strings.Join(p, "/"), path); ok {
			return true
		}
	}
	return false
}

func FuzzGlob(f *testing.F) {
	for _, s := range [][2]string{
		{"/var/log/*.log", "/var/log/a.log"}, {"/var/log/**/*.log", "/var/log/x/y/a.log"}, {"/a/**", "/a/b/c"},
		{"/k8spods/*/volumes/kubernetes.io~empty-dir/applog-*/*.log", "/k8spods/u/volumes/kubernetes.io~empty-dir/applog-1-endname-t/x.log"},
		{"/**/x", "/x"}, {"/[a-c]?/*", "/bx/y"}, {"/a/**/b/*", "/a/b/b/c"}, {"/**/*/**", "/a"}, {`/a\*/b`, "/a*/b"}, {"/", "/"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, glob, path string) {
		glob, path = "/"+glob, filepath.Clean("/"+path)
		if path == "/" || filepath.Clean(glob) == "/" || len(glob) > 200 || len(path) > 200 {
			return
		}
		p, err := compile(glob)
		if err != nil {
			return
		}
		if got, want := matches([]pattern{p}, path), naive(glob, path); got != want {
			t.Fatalf("%q lists %q: %v, want %v", glob, path, got, want)
		}
	})
}

// FuzzSplit compares the splitter with a plain loop, and reading in slices with reading at once.
func FuzzSplit(f *testing.F) {
	f.Add([]byte("a\nb\r\n\n\nlast"), uint16(3), uint16(4))
	f.Add([]byte("\x00\x00x\n\x00\n\r\n\r\r\n"), uint16(0), uint16(2))
	f.Fuzz(func(t *testing.T, data []byte, cut, size uint16) {
		fm, err := newFormat("", nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		var cuts []int64
		if cut > 0 && int(cut) <= len(data) {
			cuts = []int64{int64(cut)}
		}
		var want []span
		start := 0
		for i := range data {
			if data[i] != '\n' && (len(cuts) == 0 || i+1 != int(cut)) {
				continue
			}
			from := start
			for from < i+1 && data[from] == 0 {
				from++
			}
			text := strings.TrimSuffix(strings.TrimSuffix(string(data[from:i+1]), "\n"), "\r")
			if text != "" {
				want = append(want, span{from, from + len(text), i + 1})
			}
			start = i + 1
		}
		got, used := fm.split(data, 0, cuts, nil)
		if used != start || !slices.Equal(got, want) {
			t.Fatalf("%q cut %v: %v used %d, want %v used %d", data, cuts, got, used, want, start)
		}
		got = got[:0]
		for pos, n := 0, int(size)+1; pos < len(data); {
			part, used := fm.split(data[pos:min(len(data), pos+n)], int64(pos), cuts, nil)
			for _, sp := range part {
				got = append(got, span{sp.from + pos, sp.text + pos, sp.to + pos})
			}
			if used > 0 {
				pos, n = pos+used, int(size)+1
			} else if n++; pos+n > len(data)+1 {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%q cut %v in slices of %d: %v, want %v", data, cuts, size, got, want)
		}
	})
}

func FuzzNotices(f *testing.F) {
	f.Add(append(bytes.Repeat([]byte{1}, 12), 4, 0, 0, 0, 'a', 0, 0, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n := len(notices(b)); n > len(b)/16 {
			t.Fatalf("%d events from %d bytes", n, len(b))
		}
	})
}

func TestConfig(t *testing.T) {
	f := func(wantErr string, m map[string]any) {
		t.Helper()
		_, err := parse(common.MustNewConfigFrom(m))
		if (err == nil) != (wantErr == "") || err != nil && !strings.Contains(err.Error(), wantErr) {
			t.Errorf("%v: error %v, want %q", m, err, wantErr)
		}
	}
	paths := []string{"/var/log/*.log"}
	f("", map[string]any{"paths": paths, "tags": []string{"x"}, "fields.a": 1, "fields_under_root": true})
	f("paths", map[string]any{})
	f(`unknown key "pathz"`, map[string]any{"paths": paths, "pathz": 1})
	f("encoding", map[string]any{"paths": paths, "encoding": "klingon"})
	f("start", map[string]any{"paths": paths, "start": "middle"})
	f("max_bytes", map[string]any{"paths": paths, "max_bytes": 0})
	f("rescan_interval", map[string]any{"paths": paths, "rescan_interval": "0s"})
	f("more than one **", map[string]any{"paths": []string{"/a/**/b/**"}})
	f("syntax", map[string]any{"paths": []string{"/a/[b"}})
	cfg, err := parse(common.MustNewConfigFrom(map[string]any{"paths": paths, "exclude_files": []string{`\.gz$`}, "max_bytes": "64KiB"}))
	if err != nil || cfg.wants("/a.gz") || !cfg.wants("/a.log") || cfg.MaxBytes != 64<<10 || cfg.MaxOpenFiles < 16 {
		t.Errorf("%+v %v", cfg, err)
	}
}

// The sample in README.md is a configuration, and the README explains every key.
func TestReadme(t *testing.T) {
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(b)
	if m == nil {
		t.Fatal("no sample")
	}
	path := filepath.Join(t.TempDir(), "sample.yml")
	if err := os.WriteFile(path, m[1], 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := common.LoadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var beat struct {
		Inputs []*common.Config `config:"tallybeat.inputs"`
	}
	if err := c.Unpack(&beat); err != nil || len(beat.Inputs) == 0 {
		t.Fatal(err, len(beat.Inputs))
	}
	for _, in := range beat.Inputs {
		if _, err := parse(in); err != nil {
			t.Error(err)
		}
	}
	for _, k := range ownKeys {
		if !bytes.Contains(b, fmt.Appendf(nil, "`%s`", k)) {
			t.Errorf("README.md does not explain %s", k)
		}
	}
}

func TestPodFields(t *testing.T) {
	f := func(path, want string) {
		t.Helper()
		if got := fmt.Sprint(podFields(path)); got != want {
			t.Errorf("%s gives %s, want %s", path, got, want)
		}
	}
	const dir = "/k8spods/uid/volumes/kubernetes.io~empty-dir/"
	f(dir+"applog-svc-endname-web/x.log", `{"applog":{"title":"web"},"kubernetes":{"pod":{"uid":"uid"}},"service":{"id":"svc"}}`)
	f(dir+"applog-a-b-endname-c-d/sub/x.log", `{"applog":{"title":"c-d"},"kubernetes":{"pod":{"uid":"uid"}},"service":{"id":"a-b"}}`)
	f(dir+"applog-svc/x.log", `{"kubernetes":{"pod":{"uid":"uid"}},"service":{"id":"svc"}}`)
	f(dir+"cache/x.log", `{}`)
	f("/var/log/applog-x/a.log", `{}`)
}
