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
	inode    uint64 // 0 where Filebeat does not go by it
	from, to int64
}

// locate reads the place out of what an input hands to the registry. ok is false for events of anything but a file.
func locate(e *beat.Event) (p place, ok bool) {
	switch private := e.Private.(type) {
	case nil:
		return p, false
	case file.State: // log, container
		p = place{key: private.Id, path: private.Source, inode: private.FileStateOS.Inode, to: private.Offset}
	default:
		if p, ok = cursor(private); !ok {
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
func cursor(private any) (p place, ok bool) {
	keyed, ok := private.(interface{ Key() string })
	if !ok {
		return p, false
	}
	v := reflect.ValueOf(private)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return p, false
	}
	delta := v.Elem().FieldByName("delta")
	if !delta.IsValid() || delta.Kind() != reflect.Interface || delta.Elem().Kind() != reflect.Struct {
		return p, false
	}
	to := delta.Elem().FieldByName("Offset")
	if !to.IsValid() || to.Kind() != reflect.Int64 {
		return p, false
	}
	p.key, p.to = keyed.Key(), to.Int()
	// The key ends with native::INODE-DEVICE where files are known by these.
	if _, id, native := strings.Cut(p.key, "native::"); native {
		ino, _, _ := strings.Cut(id, "-")
		p.inode, _ = strconv.ParseUint(ino, 10, 64)
	}
	return p, true
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
