package beat

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
)

// Only what is certainly as in the file is given back: nothing that may be written, was written, or is another's.
func TestProgramAreas(t *testing.T) {
	entry := func(addresses, rights, name string, dirty int) string {
		return fmt.Sprintf("%s %s 00000000 fe:00 42   %s\nSize: 8 kB\nPrivate_Dirty: 4 kB\nAnonymous: %d kB\nLocked: 0 kB\nVmFlags: rd mr\n", addresses, rights, name, dirty)
	}
	text := entry("1000-3000", "r-xp", "/a b/c", 0) + entry("3000-5000", "r--p", "/a b/c", 4) + entry("5000-6000", "r--p", "/a b/c", 0) + entry("6000-7000", "rw-p", "/a b/c", 0) +
		entry("7000-8000", "r-xp", "/other", 0) + entry("8000-9000", "r-xp", "", 0)
	got, err := programAreas(bufio.NewScanner(strings.NewReader(text)), "/a b/c")
	if err != nil || fmt.Sprint(got) != fmt.Sprint([]area{{0x1000, 0x3000}, {0x5000, 0x6000}}) {
		t.Errorf("%v, %v", got, err)
	}
}

// The program runs on, and has less in memory.
func TestGivePages(t *testing.T) {
	shared := func() (pages int) { // statm(5): pages that come from files
		text, err := os.ReadFile("/proc/self/statm")
		if err == nil {
			_, err = fmt.Sscanf(string(text), "%d %d %d", new(int), new(int), &pages)
		}
		if err != nil {
			t.Fatal(err)
		}
		return pages
	}
	before := shared()
	if err := givePages(); err != nil {
		t.Fatal(err)
	}
	if after := shared(); after >= before {
		t.Errorf("%d pages of files in memory, %d before", after, before)
	}
}
