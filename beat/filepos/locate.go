package filepos

import (
	"reflect"
	"strconv"
	"strings"

	"github.com/elastic/beats/v7/filebeat/input/file"
	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
)

// place says where in which file an event stands, as Filebeat knows it.
type place struct {
	key      string // Filebeat's name of the file
	path     string
	inode    uint64 // 0 where Filebeat does not go by it; of filestream's only after native
	from, to int64
}

// notes reads what inputs hand to the registry. It remembers the shape of filestream's notes, so it is for one goroutine.
type notes struct {
	note, state   reflect.Type // last seen, with the
	delta, offset int          // indices of these fields; -1 for none
}

// locate reads the place out of an event's note. ok is false for events of anything but a file.
func (n *notes) locate(e *beat.Event) (p place, ok bool) {
	switch private := e.Private.(type) {
	case nil:
		return p, false
	case file.State: // log, container
		p = place{key: private.Id, path: private.Source, inode: private.FileStateOS.Inode, to: private.Offset}
	default:
		if p, ok = n.cursor(private); !ok {
			return p, false
		}
	}
	p.from, ok = offset(e.Fields)
	if p.path == "" {
		p.path, _ = text(e.Fields, "log", "file", "path")
	}
	return p, ok && p.key != "" && p.path != "" && p.from >= 0 && p.from < p.to
}

// cursor reads filestream's note for the registry, which has no exported fields: a pointer to a struct with the state (delta, a
// struct with the Offset) and the method Key. The version of Filebeat is pinned, and a test notices if it changes.
func (n *notes) cursor(private any) (p place, ok bool) {
	keyed, ok := private.(interface{ Key() string })
	if !ok {
		return p, false
	}
	v := reflect.ValueOf(private)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return p, false
	}
	v = v.Elem()
	if v.Type() != n.note {
		n.note, n.delta = v.Type(), index(v.Type(), "delta", reflect.Interface)
	}
	if n.delta < 0 {
		return p, false
	}
	state := v.Field(n.delta).Elem()
	if state.Kind() != reflect.Struct {
		return p, false
	}
	if state.Type() != n.state {
		n.state, n.offset = state.Type(), index(state.Type(), "Offset", reflect.Int64)
	}
	if n.offset < 0 {
		return p, false
	}
	p.key, p.to = keyed.Key(), state.Field(n.offset).Int()
	return p, true
}

// index finds a field of a struct by name and kind.
func index(t reflect.Type, name string, kind reflect.Kind) int {
	if f, ok := t.FieldByName(name); ok && f.Type.Kind() == kind && len(f.Index) == 1 {
		return f.Index[0]
	}
	return -1
}

// native reads the inode out of filestream's key, which ends with native::INODE-DEVICE where files are known by these.
func (p *place) native() {
	if _, id, native := strings.Cut(p.key, "native::"); native && p.inode == 0 {
		ino, _, _ := strings.Cut(id, "-")
		p.inode, _ = strconv.ParseUint(ino, 10, 64)
	}
}

func offset(fields common.MapStr) (int64, bool) {
	log, ok := fields["log"].(common.MapStr)
	if !ok {
		return 0, false
	}
	n, ok := log["offset"].(int64)
	return n, ok
}

func text(fields common.MapStr, path ...string) (string, bool) {
	for _, k := range path[:len(path)-1] {
		sub, ok := fields[k].(common.MapStr)
		if !ok {
			return "", false
		}
		fields = sub
	}
	s, ok := fields[path[len(path)-1]].(string)
	return s, ok
}
