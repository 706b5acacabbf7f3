package elasticsearch

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Version of Elasticsearch that is started where Options name no other.
const Version = "8.19.4"

const (
	artifact  = "org.elasticsearch.distribution.integ-test-zip:elasticsearch:%s:zip"
	copyGoal  = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
	fetchTime = 15 * time.Minute
)

// cacheDir is where programs for tests are kept from run to run. Elasticsearch refuses to run as root, so for root it is a place
// that others can read.
func cacheDir() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/cache/tally", nil
	}
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "tally"), err
}

// fetch returns the folder of the unpacked program of a version. The first call on a machine downloads it; processes that come together
// wait for the one that does.
func fetch(ctx context.Context, version string) (home string, err error) {
	dir, err := cacheDir()
	if err != nil {
		return "", fmt.Errorf("cannot find the cache directory: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("cannot create the cache directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "elasticsearch.lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", fmt.Errorf("cannot lock the cache: %w", err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("cannot lock the cache: %w", err)
	}
	home = filepath.Join(dir, "elasticsearch-"+version)
	if _, err := os.Stat(home); err == nil {
		return home, nil
	}
	temp, err := os.MkdirTemp(dir, "fetch-")
	if err != nil {
		return "", fmt.Errorf("cannot create a folder for the download: %w", err)
	}
	defer os.RemoveAll(temp)
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return "", fmt.Errorf("cannot fetch Elasticsearch without Maven (Debian packages maven and default-jre-headless): %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	name := fmt.Sprintf(artifact, version)
	c := exec.CommandContext(ctx, mvn, "-q", "-B", copyGoal, "-Dartifact="+name, "-DoutputDirectory="+temp)
	c.Dir = temp
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot fetch %s with Maven: %w\n%s", name, err, out)
	}
	if err := unzip(filepath.Join(temp, "elasticsearch-"+version+".zip"), temp); err != nil {
		return "", err
	}
	// The name appears last, so that what has it is whole.
	if err := os.Rename(filepath.Join(temp, "elasticsearch-"+version), home); err != nil {
		return "", fmt.Errorf("cannot put Elasticsearch into the cache: %w", err)
	}
	return home, nil
}

// unzip unpacks an archive for all to read.
func unzip(file, to string) error {
	r, err := zip.OpenReader(file)
	if err != nil {
		return fmt.Errorf("cannot read %q: %w", file, err)
	}
	defer r.Close()
	for _, f := range r.File {
		if err := unzipOne(f, to); err != nil {
			return fmt.Errorf("cannot unpack %q: %w", f.Name, err)
		}
	}
	return nil
}

func unzipOne(f *zip.File, to string) error {
	if !filepath.IsLocal(f.Name) {
		return fmt.Errorf("the name leads out of the archive")
	}
	path := filepath.Join(to, f.Name)
	if strings.HasSuffix(f.Name, "/") {
		return os.MkdirAll(path, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	in, err := f.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, f.Mode().Perm()|0o444)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return fmt.Errorf("%w (closing: %v)", err, out.Close())
	}
	return out.Close()
}
