package journald

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/elastic/beats/v7/libbeat/common"
)

// TestRotation writes and rotates while the input reads, from a path of a file and of its directory.
func TestRotation(t *testing.T) {
	for name, byFile := range map[string]bool{"file": true, "directory": false, "directory without inotify": false} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "system.journal")
			x := new(export)
			x.lines(2000).write(t, path)
			rotate(t, path)
			x.lines(700).write(t, path)
			cfg := common.MapStr{"paths": []string{dir}}
			if byFile {
				cfg["paths"] = []string{path}
			}
			watch := newWatcher
			if strings.Contains(name, "without") {
				watch = blindWatcher
			}
			r := start(t, cfg, setup{watch: watch})
			for range 4 {
				x.lines(500).write(t, path)
				rotate(t, path)
				x.lines(20).write(t, path)
			}
			wantLines(t, r.wait(t, 4780), 0, 4780, 1)
		})
	}
}

// TestRotationWhileStopped rotates between two runs, with entries not yet acknowledged in the file that is now archived.
func TestRotationWhileStopped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "system.journal")
	store := filepath.Join(t.TempDir(), "positions")
	x := new(export)
	x.lines(1000).write(t, path)
	p := newPipe()
	r := start(t, common.MapStr{"paths": []string{path}}, setup{store: store, pipe: p})
	r.wait(t, 1000)
	p.ack(600)
	r.stop(t)
	rotate(t, path)
	x.lines(1000).write(t, path)
	rotate(t, path)
	x.lines(1000).write(t, path)
	r = start(t, common.MapStr{"paths": []string{path}}, setup{store: store})
	wantLines(t, r.wait(t, 2400), 600, 3000, 601)
}

// TestUserJournals shares one sequence of numbers among the system's and a user's files, as journald does, and rotates the
// user's while the system's goes on.
func TestUserJournals(t *testing.T) {
	dir := t.TempDir()
	system, user := filepath.Join(dir, "system.journal"), filepath.Join(dir, "user-1000.journal")
	x := new(export)
	x.lines(10).write(t, system)
	turn := func(from, to string, n int) { // the next n numbers go to the file to
		t.Helper()
		f, err := statFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if !isFile(to) {
			succeed(t, from, to)
		}
		patch(t, to, 160, le64(f.tail))
		x.lines(n).write(t, to)
	}
	turn(system, user, 5)
	turn(user, system, 5)
	all := start(t, common.MapStr{"paths": []string{dir}}, setup{})
	wantLines(t, all.wait(t, 20), 0, 20, 1)
	one := start(t, common.MapStr{"paths": []string{system}}, setup{})
	events := one.wait(t, 15)
	if p := positionOf(t, events[10]); p.From != 16 || p.Skipped != 5 {
		t.Errorf("position %+v behind the user's entries, want 16 with 5 skipped", p)
	}
	old := archive(t, user)
	turn(system, user, 3)
	turn(user, system, 3)
	turn(system, user, 3)
	wantLines(t, all.wait(t, 29), 0, 29, 1)
	if err := os.Remove(old); err != nil {
		t.Fatal(err)
	}
	turn(user, system, 1)
	wantLines(t, all.wait(t, 30), 0, 30, 1)
	if len(all.lost) > 0 || len(one.lost) > 0 {
		t.Error("something is reported as lost")
	}
}

// TestRemoteFile reads the file of one remote machine, with its rotated siblings and nothing of the other machine's beside it.
func TestRemoteFile(t *testing.T) {
	dir := t.TempDir()
	one, other := filepath.Join(dir, "remote-10.0.0.1.journal"), filepath.Join(dir, "remote-10.0.0.12.journal")
	x := new(export)
	x.lines(20).write(t, one)
	rotate(t, one)
	x.lines(20).write(t, one)
	r := start(t, common.MapStr{"paths": []string{one}}, setup{})
	r.wait(t, 40)
	new(export).lines(5).write(t, other)
	rotate(t, other)
	rotate(t, one)
	x.lines(20).write(t, one)
	wantLines(t, r.wait(t, 60), 0, 60, 1)
}

func le64(v uint64) []byte {
	b := make([]byte, 8)
	for i := range b {
		b[i] = byte(v >> (8 * i))
	}
	return b
}

// TestVacuumed removes files with entries that were not acknowledged: the range is reported, the rest comes, and nothing
// counts as skipped.
func TestVacuumed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "system.journal")
	store := filepath.Join(t.TempDir(), "positions")
	x := new(export)
	x.lines(100).write(t, path)
	p := newPipe()
	r := start(t, common.MapStr{"paths": []string{path}}, setup{store: store, pipe: p})
	source := positionOf(t, r.wait(t, 100)[0]).Source
	p.ack(40)
	r.stop(t)
	first := rotate(t, path)
	x.lines(100).write(t, path)
	second := rotate(t, path)
	x.lines(100).write(t, path)
	for _, f := range []string{first, second} {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	r = start(t, common.MapStr{"paths": []string{path}}, setup{store: store})
	wantLines(t, r.wait(t, 100), 200, 300, 201)
	if p := positionOf(t, r.wait(t, 100)[0]); p.Skipped != 0 {
		t.Errorf("%d units count as skipped, want 0", p.Skipped)
	}
	if l := <-r.lost; l != (Range{Source: source, From: 41, To: 201, Reason: Vacuumed}) {
		t.Errorf("reported %+v, want 41 to 201 vacuumed", l)
	}
}

// TestVacuumedWhileOpen removes a file that is open and not read to its end: nothing is lost, for the kernel keeps it.
func TestVacuumedWhileOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "system.journal")
	x := new(export)
	x.lines(5000).write(t, path)
	old := rotate(t, path)
	x.lines(100).write(t, path)
	gate := make(chan struct{})
	opened := make(chan struct{}, 100)
	r := start(t, common.MapStr{"paths": []string{path}}, setup{open: func(files []string, at place) (reader, error) {
		r, err := openFiles(files, at)
		opened <- struct{}{}
		<-gate
		return r, err
	}})
	<-opened
	// The reader is open and has not begun; journald may vacuum at any moment, but not between two listings.
	close(gate)
	r.wait(t, 1)
	if err := os.Remove(old); err != nil {
		t.Fatal(err)
	}
	x.lines(10).write(t, path)
	wantLines(t, r.wait(t, 5110), 0, 5110, 1)
	if len(r.lost) > 0 {
		t.Errorf("reported as lost: %+v", <-r.lost)
	}
}

// TestSeveralJournals reads a directory with the journals of two machines, one of which is late: its entries are older than
// what was read of the other, and must come nevertheless.
func TestSeveralJournals(t *testing.T) {
	dir := t.TempDir()
	a, b := new(export), new(export)
	a.n = 100_000
	a.lines(50).write(t, filepath.Join(dir, "remote-a.journal"))
	r := start(t, common.MapStr{"paths": []string{dir}}, setup{})
	r.wait(t, 50)
	b.lines(50).write(t, filepath.Join(dir, "remote-b.journal"))
	events := r.wait(t, 100)
	wantLines(t, events[50:], 0, 50, 1)
	b.lines(50).write(t, filepath.Join(dir, "remote-b.journal"))
	wantLines(t, r.wait(t, 150)[100:], 50, 100, 51)
	if positionOf(t, events[0]).Source == positionOf(t, events[99]).Source {
		t.Error("two journals are one source")
	}
}
