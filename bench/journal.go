package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Names of rows that the end of the table compares.
const (
	nameJournald         = "tallybeat, journald"
	nameFilebeatJournald = "Filebeat 7.17.29, journald"
)

// writeJournal makes a journal of n entries as Docker's driver writes them on a node with 20 containers, by
// systemd-journal-remote, which rotates it into several files.
func writeJournal(dir string, n int) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot make a folder for the journal: %w", err)
	}
	remote, err := exec.LookPath("/usr/lib/systemd/systemd-journal-remote")
	if err != nil {
		remote, err = exec.LookPath("/lib/systemd/systemd-journal-remote")
	}
	if err != nil {
		return fmt.Errorf("cannot write a journal, the package systemd-journal-remote is missing: %w", err)
	}
	cmd := exec.Command(remote, "-o", filepath.Join(dir, "remote.journal"), "-")
	in, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("cannot write a journal: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start %q: %w", remote, err)
	}
	w := bufio.NewWriterSize(in, 1<<20)
	for i := range n {
		writeEntry(w, i)
	}
	if err := errors.Join(w.Flush(), in.Close(), cmd.Wait()); err != nil {
		return fmt.Errorf("cannot write a journal with %q: %w", remote, err)
	}
	return nil
}

// writeEntry writes entry i in the form that journalctl --output=export has.
func writeEntry(w *bufio.Writer, i int) {
	const boot, began = "0123456789abcdef0123456789abcdef", 1_767_000_000_000_000
	c := i % 20
	fmt.Fprintf(w, "__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=%s\n", began+1000*i, 1000+1000*i, boot)
	fmt.Fprintf(w, "MESSAGE=%s", appendLine(nil, i))
	fmt.Fprint(w, "PRIORITY=6\n_TRANSPORT=journal\n_UID=0\n_GID=0\n_COMM=dockerd\n_EXE=/usr/bin/dockerd\n"+
		"_CMDLINE=/usr/bin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock\n_CAP_EFFECTIVE=3fffffffff\n"+
		"_SYSTEMD_CGROUP=/system.slice/docker.service\n_SYSTEMD_UNIT=docker.service\n_SYSTEMD_SLICE=system.slice\n"+
		"_PID=1234\n_HOSTNAME=node1\n_MACHINE_ID=", boot, "\n")
	fmt.Fprintf(w, "SYSLOG_IDENTIFIER=%012x\nCONTAINER_ID=%012x\nCONTAINER_ID_FULL=%064x\nCONTAINER_TAG=%012x\n", c, c, c, c)
	fmt.Fprintf(w, "CONTAINER_NAME=k8s_app_pod-%d_default_11111111-2222-3333-4444-%012x_0\n_SOURCE_REALTIME_TIMESTAMP=%d\n\n", c, c, began+1000*i-50)
}
