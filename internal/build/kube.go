package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// forKube is what the tests against a real API server need beside forTesting.
var forKube = []part{{[]string{"etcd"}, "etcd-server"}}

// kubeVersion is that of k8s.io/kubernetes in test/real/kube/programs/go.mod; a test compares the two.
const kubeVersion = "1.33.13"

// Kube runs the tests against a real kube-apiserver, which are behind the build tag kube.
func Kube(ctx context.Context) error {
	if err := Programs(ctx); err != nil {
		return err
	}
	if err := install(ctx, append(forKube, forTesting...)); err != nil {
		return err
	}
	if _, err := KubePrograms(ctx, "."); err != nil {
		return err
	}
	return stream(ctx, "go", "test", "-tags", "kube", "-p", "1", "-count=1", "-timeout", "25m", "./test/real/...")
}

// KubePrograms builds kube-apiserver and kubectl of the repository at root, where that has not been done before, and returns the
// directory that holds them. It lies in the user's cache directory, so that all work trees share it.
func KubePrograms(ctx context.Context, root string) (string, error) {
	src := filepath.Join(root, "test/real/kube/programs")
	sum, err := treeSum(src)
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("cannot find the user's cache directory: %w", err)
	}
	dir := filepath.Join(cache, "tally", "kube-"+kubeVersion+"-"+sum)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("cannot make the directory of the Kubernetes programs: %w", err)
	}
	// Two packages of tests, or two work trees, may come here at the same time: one builds.
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", fmt.Errorf("cannot open the lock of the Kubernetes programs: %w", err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("cannot lock %q: %w", lock.Name(), err)
	}
	for _, name := range []string{"kube-apiserver", "kubectl"} {
		out := filepath.Join(dir, name)
		if _, err := os.Stat(out); err == nil {
			continue
		}
		say("building %s %s (once; it takes minutes)", name, kubeVersion)
		start := time.Now()
		// It is linked beside its place and renamed, so that what is there is whole.
		half := out + ".new"
		flags := "-s -w -X k8s.io/component-base/version.gitVersion=v" + kubeVersion +
			" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=33"
		cmd := command(ctx, "go", "build", "-C", src, "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", half, "./"+name)
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "CGO_ENABLED=0", "GOWORK=off")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			return "", fmt.Errorf("cannot build %s: %w", name, err)
		}
		if err := os.Rename(half, out); err != nil {
			return "", fmt.Errorf("cannot put %s in its place: %w", name, err)
		}
		say("built %s in %v", out, time.Since(start).Round(time.Second))
	}
	return dir, nil
}

// treeSum is a short text that changes with every file below dir, with the Go version and with the machine's architecture.
func treeSum(dir string) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, runtime.Version(), runtime.GOARCH)
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		fmt.Fprintf(h, "%s %d\n%s", filepath.Base(name), len(text), text)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("cannot read the sources of the Kubernetes programs: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}
