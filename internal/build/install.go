package build

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// part is something the machine must have: one of several programs or files, and the Debian package that brings it.
type part struct {
	anyOf []string // absolute paths, or names looked up in PATH
	pkg   string
}

var (
	forBuilding = []part{
		{[]string{"gcc"}, "gcc"},
		{[]string{"/usr/include/stdlib.h"}, "libc6-dev"},
		{[]string{"pkg-config"}, "pkg-config"},
		{[]string{"/usr/include/systemd/sd-journal.h"}, "libsystemd-dev"},
	}
	forTesting = []part{
		{[]string{"/lib/systemd/systemd-journal-remote", "/usr/lib/systemd/systemd-journal-remote"}, "systemd-journal-remote"},
		{[]string{"journalctl"}, "systemd"},
		{[]string{"chromium", "chromium-browser", "google-chrome"}, "chromium"},
		{[]string{"node", "nodejs"}, "nodejs"},
		{[]string{"npm"}, "npm"},
		{[]string{"python3"}, "python3"},
		// A Python that is not Debian's brings what makes virtual environments itself.
		{[]string{"/usr/share/doc/python3-venv", "/usr/local/bin/python3"}, "python3-venv"},
		{[]string{"/usr/lib/python3/dist-packages/grpc/__init__.py"}, "python3-grpcio"},
		{[]string{"/usr/lib/python3/dist-packages/google/protobuf/__init__.py"}, "python3-protobuf"},
		{[]string{"java"}, "default-jre-headless"},
		{[]string{"mvn"}, "maven"},
	}
)

// missing are the packages of those parts that the machine lacks.
func missing(parts []part) []string {
	var pkgs []string
	for _, p := range parts {
		if !p.present() {
			pkgs = append(pkgs, p.pkg)
		}
	}
	return pkgs
}

func (p part) present() bool {
	for _, name := range p.anyOf {
		if strings.HasPrefix(name, "/") {
			if _, err := os.Stat(name); err == nil {
				return true
			}
		} else if _, err := exec.LookPath(name); err == nil {
			return true
		}
	}
	return false
}

// install brings the missing parts with apt-get where this user may; elsewhere it returns an error that holds the command
// to type.
func install(ctx context.Context, parts []part) error {
	pkgs := missing(parts)
	if len(pkgs) == 0 {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("missing on this machine: what Debian packages as %s; install them with its package manager",
			strings.Join(pkgs, " "))
	}
	var prefix []string
	if os.Geteuid() != 0 {
		if err := exec.CommandContext(ctx, "sudo", "-n", "true").Run(); err != nil {
			return fmt.Errorf("missing on this machine: %s; install with:\n\n  sudo apt-get update && sudo apt-get install -y --no-install-recommends %s",
				strings.Join(pkgs, " "), strings.Join(pkgs, " "))
		}
		prefix = []string{"sudo", "-n"}
	}
	prefix = append(prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y")
	get := append(prefix, append([]string{"install", "--no-install-recommends"}, pkgs...)...)
	say("installing %s", strings.Join(pkgs, " "))
	if stream(ctx, get[0], get[1:]...) == nil && len(missing(parts)) == 0 {
		return nil
	}
	// The lists may be missing or too old to name files that the mirror still has.
	update := append(prefix[:len(prefix):len(prefix)], "update")
	say("refreshing apt's lists, then once more")
	if err := stream(ctx, update[0], update[1:]...); err != nil {
		return err
	}
	if err := stream(ctx, get[0], get[1:]...); err != nil {
		return err
	}
	if left := missing(parts); len(left) > 0 {
		return fmt.Errorf("apt-get installed %s, but %s did not bring what is needed", strings.Join(pkgs, " "), strings.Join(left, " "))
	}
	return nil
}
