package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/test/rig"
)

// TestDefaultPaths: started without paths, with those of the packages' units, and from the directory of a container image, ours reads
// and writes where a genuine Filebeat does, file by file.
func TestDefaultPaths(t *testing.T) {
	programs := map[string]string{"genuine": rig.Filebeat(t), "ours": rig.Tallybeat(t)}
	f := func(name, config string, dir, program string, args ...string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			made := map[string][]string{}
			for whose, file := range programs {
				root := t.TempDir()
				in := func(path string) string { return strings.ReplaceAll(path, "ROOT", root) }
				for _, d := range []string{"usr/share/filebeat/bin", "etc/filebeat", "var/lib", "var/log"} {
					if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
						t.Fatal(err)
					}
				}
				if err := os.Symlink(file, filepath.Join(root, "usr/share/filebeat/bin/filebeat")); err != nil {
					t.Fatal(err)
				}
				write(t, in(config), in("filebeat.inputs: [{type: log, paths: [ROOT/no/such/file]}]\noutput.file.path: ROOT/out\nlogging.level: warning\n"))
				cmd := []string{in("exec " + program)}
				for _, a := range args {
					cmd = append(cmd, in(a))
				}
				p := rig.Start(t, []string{"PATH=" + root + "/usr/share/filebeat/bin:" + os.Getenv("PATH")}, "/bin/sh", "-c", "cd "+in(dir)+"; umask 022; "+strings.Join(cmd, " ")+" --strict.perms=false")
				rig.Eventually(t, time.Minute, whose+" has begun its registry", func() bool {
					found := false
					_ = filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
						found = found || filepath.Base(path) == "log.json"
						return err
					})
					return found
				})
				if code := p.Stop(); code != 0 {
					t.Errorf("%s ended with %d", whose, code)
				}
				err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
					rel, _ := filepath.Rel(root, path)
					if err == nil && !d.IsDir() && !strings.HasPrefix(d.Name(), "positions.db") && filepath.Base(filepath.Dir(path)) != "out" {
						made[whose] = append(made[whose], rel)
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			if !slices.Equal(made["ours"], made["genuine"]) {
				t.Errorf("ours has made    %q\ngenuine has made %q", made["ours"], made["genuine"])
			}
		})
	}
	const packaged = "--path.home ROOT/usr/share/filebeat --path.config ROOT/etc/filebeat --path.data ROOT/var/lib/filebeat --path.logs ROOT/var/log/filebeat"
	f("by its path", "ROOT/etc/filebeat/filebeat.yml", "ROOT/etc/filebeat", "ROOT/usr/share/filebeat/bin/filebeat")
	f("in the working directory", "ROOT/etc/filebeat/filebeat.yml", "ROOT/etc/filebeat", "filebeat", "-e")
	f("as the unit", "ROOT/etc/filebeat/filebeat.yml", "/", "ROOT/usr/share/filebeat/bin/filebeat", "--environment", "systemd", "-c", "ROOT/etc/filebeat/filebeat.yml", packaged)
	f("as the script", "ROOT/etc/filebeat/filebeat.yml", "/", "ROOT/usr/share/filebeat/bin/filebeat", packaged, "-e")
	f("as the image", "ROOT/usr/share/filebeat/filebeat.yml", "ROOT/usr/share/filebeat", "filebeat", "--environment", "container", "-path.home", "ROOT/usr/share/filebeat", "-e")
}
