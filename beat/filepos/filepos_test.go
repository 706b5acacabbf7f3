package filepos

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	fbfile "github.com/elastic/beats/v7/filebeat/input/file"
	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/common/file"
)

// pipeline records what is published, and drops what its rule says.
type pipeline struct {
	drop   func(beat.Event) bool
	acker  beat.ACKer
	events []beat.Event
}

func (p *pipeline) Connect() (beat.Client, error) { return p.ConnectWith(beat.ClientConfig{}) }
func (p *pipeline) ConnectWith(c beat.ClientConfig) (beat.Client, error) {
	p.acker = c.ACKHandler
	return p, nil
}
func (p *pipeline) Close() error                 { return nil }
func (p *pipeline) PublishAll(list []beat.Event) { panic("not called") }
func (p *pipeline) Publish(e beat.Event) {
	kept := p.drop == nil || !p.drop(e)
	p.acker.AddEvent(e, kept)
	if kept {
		p.events = append(p.events, e)
	}
}

func (p *pipeline) positions() string {
	var list []string
	for _, e := range p.events {
		m, ok := e.Meta["tally"].(common.MapStr)
		if !ok {
			list = append(list, "none")
			continue
		}
		list = append(list, fmt.Sprint(m["from"], "-", m["to"], "/", m["skipped"]))
	}
	p.events = nil
	return strings.Join(list, " ")
}

// line is an event as the log input makes it of a line of path.
func line(t *testing.T, path, id string, from, to int64, message string) beat.Event {
	t.Helper()
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return beat.Event{
		Fields:  common.MapStr{"message": message, "log": common.MapStr{"offset": from, "file": common.MapStr{"path": path}}},
		Private: fbfile.State{Id: id, Source: path, Offset: to, FileStateOS: file.GetOSState(st)},
	}
}

func connect(t *testing.T, p *pipeline) beat.Client {
	t.Helper()
	c, err := New(p, "host", false).Connect()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPositions(t *testing.T) {
	p := &pipeline{drop: func(e beat.Event) bool { return e.Fields["message"] == "b" }}
	c := connect(t, p)
	path := filepath.Join(t.TempDir(), "x.log")
	write(t, path, "a\nb\nc\n\nd\n")
	c.PublishAll([]beat.Event{line(t, path, "1", 0, 2, "a"), line(t, path, "1", 2, 4, "b"), line(t, path, "1", 4, 6, "c"), {Private: fbfile.State{Id: "1", Source: path, Offset: 7}}, line(t, path, "1", 7, 9, "d")})
	state := p.events[2]
	p.events = append(p.events[:2], p.events[3:]...)
	if state.Meta != nil {
		t.Errorf("what only carries a state got %v", state.Meta)
	}
	if got := p.positions(); got != "0-2/0 4-6/2 7-9/1" {
		t.Error(got)
	}
	c.Publish(beat.Event{Fields: common.MapStr{"message": "of no file"}})
	c.Publish(beat.Event{Fields: common.MapStr{"message": "of a socket"}, Private: 7})
	if got := p.positions(); got != "none none" {
		t.Error(got)
	}
	// A file taken over at an offset: what lies before was shipped, or left out, by another process.
	c.Publish(line(t, path, "taken over", 4, 6, "c"))
	if got := p.positions(); got != "4-6/4" {
		t.Error(got)
	}
}

func TestSourceOf(t *testing.T) {
	p := &pipeline{}
	c := connect(t, p)
	dir := t.TempDir()
	path := filepath.Join(dir, "x.log")
	source := func(e beat.Event) string {
		t.Helper()
		c.Publish(e)
		m, _ := p.events[len(p.events)-1].Meta["tally"].(common.MapStr)
		s, _ := m["source"].(string)
		return s
	}
	write(t, path, "first\nsecond\n")
	first := source(line(t, path, "1", 0, 6, "first"))
	if first == "" || source(line(t, path, "1", 6, 13, "second")) != first || source(line(t, path, "of another process", 0, 6, "first")) != first {
		t.Fatal("one file has several sources")
	}
	moved := line(t, path, "renamed", 0, 6, "first")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write(t, path, "other\nlines\n")
	if source(moved) != first {
		t.Error("a file that was renamed before its first event is not found")
	}
	if s := source(line(t, path, "2", 0, 6, "other")); s == first || s == "" {
		t.Errorf("the file that took its place has the source %q", s)
	}
	write(t, path, "third\nlines\n")
	if s := source(line(t, path, "2", 0, 6, "third")); s == "" || s == first {
		t.Errorf("truncated: %q", s)
	}
	// Removed, but still open in this process.
	gone := line(t, path+".1", "removed", 0, 6, "first")
	open, err := os.Open(path + ".1")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if err := os.Remove(path + ".1"); err != nil {
		t.Fatal(err)
	}
	if source(gone) != first {
		t.Error("a file that was removed is not found among the open ones")
	}
	gone.Private = fbfile.State{Id: "nowhere", Source: "/no/such/file", Offset: 6, FileStateOS: file.StateOS{Inode: 1 << 62}}
	if s := source(gone); s != "" {
		t.Errorf("a file that is nowhere has the source %q", s)
	}
}

// note is shaped like what filestream hands to the registry.
type note struct {
	key   string
	delta any
}

func (n *note) Key() string { return n.key }

type state struct{ Offset int64 }

func TestFilestream(t *testing.T) {
	p := &pipeline{}
	c := connect(t, p)
	path := filepath.Join(t.TempDir(), "x.log")
	write(t, path, "first\nsecond\n")
	f := func(key, message string, from, to int64, want string) {
		t.Helper()
		e := line(t, path, "", from, to, message)
		e.Private = &note{key, state{to}}
		c.Publish(e)
		if got := p.positions(); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
	st, _ := os.Stat(path)
	f(fmt.Sprintf("filestream::i::native::%d-1", inode(st)), "first", 0, 6, "0-6/0")
	f(fmt.Sprintf("filestream::j::native::%d-1", inode(st)+1), "first", 0, 6, "none")
	f("filestream::i::path::"+path, "second", 6, 13, "6-13/6")
	f("filestream::k::path::"+path, "something else", 6, 13, "none") // not what stands there
	e := line(t, path, "", 0, 6, "first")
	for _, private := range []any{&note{"k", nil}, &note{"k", 7}, &note{"k", struct{ Offset string }{}}, note{}, "text", struct{}{}} {
		e.Private = private
		c.Publish(e)
		if got := p.positions(); got != "none" {
			t.Errorf("%#v: %s", private, got)
		}
	}
}

func TestForgetsFiles(t *testing.T) {
	s := &files{known: map[string]*knownFile{}}
	for i := range 3 * maxFiles {
		s.keep(fmt.Sprint(i), &knownFile{})
	}
	if n := len(s.known); n > maxFiles || n < maxFiles/2 {
		t.Errorf("%d files are remembered", n)
	}
}

func BenchmarkPublish(b *testing.B) {
	path := filepath.Join(b.TempDir(), "x.log")
	if err := os.WriteFile(path, []byte("a line\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	c, err := New(&pipeline{drop: func(beat.Event) bool { return true }}, "host", false).Connect()
	if err != nil {
		b.Fatal(err)
	}
	fields := common.MapStr{"message": strings.Repeat("x", 193), "log": common.MapStr{"offset": int64(0)}}
	state := fbfile.State{Id: "1", Source: path, FileStateOS: file.GetOSState(st)}
	b.ReportAllocs()
	for i := int64(0); b.Loop(); i++ {
		fields["log"].(common.MapStr)["offset"] = i * 194
		state.Offset = i*194 + 194
		c.Publish(beat.Event{Fields: fields, Private: state})
	}
}
