package beat

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// pagesTime is how long after its beginning the agent gives back what the start has read of its program.
const pagesTime = 5 * time.Second

// A program with all of Filebeat in it reads most of itself once, when it starts. Where the page cache has it in pages of 2 MiB, all of
// them count as the agent's memory from then on, though it runs in a small part. givePages lets them go: the kernel maps again, and in small
// pages, what is run. Linux only: madvise(2), proc_pid_smaps(5).
func givePages() error {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return err
	}
	defer f.Close()
	areas, err := programAreas(bufio.NewScanner(f), program)
	if err != nil {
		return err
	}
	for _, a := range areas {
		for _, advice := range []uintptr{unix.MADV_NOHUGEPAGE, unix.MADV_DONTNEED} {
			if _, _, errno := unix.Syscall(unix.SYS_MADVISE, a.from, a.to-a.from, advice); errno != 0 && advice == unix.MADV_DONTNEED {
				return fmt.Errorf("cannot give back pages of %q: %w", program, errno)
			}
		}
	}
	return nil
}

// area is a range of addresses, [from, to).
type area struct{ from, to uintptr }

// programAreas are the areas of a program's file that are as they are in it: not writable, and without a page that was written, as those with
// relocated addresses have. Such pages come back from the file.
func programAreas(smaps *bufio.Scanner, program string) (areas []area, err error) {
	var a area
	var clean bool
	for smaps.Scan() {
		line := smaps.Text()
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if key, is := strings.CutSuffix(fields[0], ":"); is {
			switch key {
			case "Anonymous", "Locked": // a page may be dirty, too, as its file was written a moment ago
				clean = clean && len(fields) > 1 && fields[1] == "0"
			case "VmFlags": // the last of an area
				if clean {
					areas = append(areas, a)
				}
				clean = false
			}
			continue
		}
		clean = len(fields) > 5 && strings.Join(fields[5:], " ") == program && strings.HasPrefix(fields[1], "r-")
		if _, err := fmt.Sscanf(fields[0], "%x-%x", &a.from, &a.to); err != nil {
			return nil, fmt.Errorf("cannot read %q: %w", line, err)
		}
	}
	return areas, smaps.Err()
}
