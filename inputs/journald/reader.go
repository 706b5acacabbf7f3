package journald

/*
#cgo CFLAGS: -O2
#cgo LDFLAGS: -ldl
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"syscall"
	"unsafe"
)

const (
	batchEntries = 512
	batchBytes   = 1 << 20
	// maxValue bounds the bytes of one field's value; what is longer is cut and the event is marked in log.flags.
	maxValue = 1 << 20
	// maxEntry bounds the packed bytes of one entry; fields that do not fit are left out, and the event is marked too.
	maxEntry = 8 << 20
)

// errFault means that libsystemd touched memory that is not there (a mapped file was truncated or is damaged) or failed an
// assertion. The reader that returned it can only be closed.
var errFault = errors.New("libsystemd failed inside a journal file")

// errLibrary means that there is no libsystemd on this machine, or one that cannot be used.
var errLibrary = errors.New("libsystemd cannot be used")

// place tells a reader where to begin: at an entry (the sequence number, or the next above it), else at a time (microseconds
// since 1970, or since the start of a boot), else at the head.
type place struct {
	seqID     id128
	seq       uint64
	realtime  uint64
	boot      id128
	monotonic uint64
}

// reader takes packed entries out of a fixed set of journal files that share a sequence-number id, in the order of their
// numbers. It is used by one goroutine.
type reader interface {
	// read returns a packed batch (see batch.go), valid until the next call; empty when there is no further entry for now.
	// After an error the reader can only be closed.
	read() ([]byte, error)
	// close frees the files; no error it could give would change what was read.
	close()
}

// opener opens a reader. The real one is openFiles; another process could stand behind it as well.
type opener func(files []string, at place) (reader, error)

var loadLibrary = sync.OnceValue(func() error {
	var why *C.char
	if C.tally_load(&why) < 0 {
		return fmt.Errorf("%w: %s", errLibrary, C.GoString(why))
	}
	if r := C.tally_guard(); r < 0 {
		return fmt.Errorf("%w: cannot install handlers for faults in it: %w", errLibrary, syscall.Errno(-r))
	}
	return nil
})

// libraryReader reads with libsystemd, in this process. A fault inside the library comes back as errFault.
type libraryReader struct {
	t    *C.struct_tally_journal
	buf  unsafe.Pointer
	size C.size_t
}

func openFiles(files []string, at place) (reader, error) {
	if err := loadLibrary(); err != nil {
		return nil, err
	}
	names := make([]*C.char, len(files)+1)
	array := (**C.char)(C.calloc(C.size_t(len(names)), C.size_t(unsafe.Sizeof(names[0]))))
	if array == nil {
		return nil, syscall.ENOMEM
	}
	defer C.free(unsafe.Pointer(array))
	for i, f := range files {
		names[i] = C.CString(f)
		defer C.free(unsafe.Pointer(names[i]))
	}
	copy(unsafe.Slice(array, len(names)), names)
	// A part of a cursor is one as well: libsystemd goes by what is there.
	var begin *C.char
	switch {
	case at.seq > 0:
		begin = C.CString(fmt.Sprintf("s=%s;i=%x", at.seqID, at.seq))
	case !at.boot.isZero():
		begin = C.CString(fmt.Sprintf("b=%s;m=%x", at.boot, at.monotonic))
	}
	defer C.free(unsafe.Pointer(begin))
	r := &libraryReader{size: batchBytes}
	if code := C.tally_open(&r.t, array, begin, C.uint64_t(at.realtime)); code < 0 {
		return nil, readError(int(code))
	}
	if r.buf = C.malloc(r.size); r.buf == nil {
		r.close()
		return nil, syscall.ENOMEM
	}
	runtime.SetFinalizer(r, (*libraryReader).close)
	return r, nil
}

func readError(code int) error {
	if code == C.TALLY_FAULT {
		return errFault
	}
	return syscall.Errno(-code)
}

func (r *libraryReader) read() ([]byte, error) {
	for {
		var need C.size_t
		n := C.tally_read(r.t, (*C.uchar)(r.buf), r.size, batchEntries, maxValue, maxEntry, &need)
		switch {
		case n < 0:
			return nil, readError(int(n))
		case need > r.size:
			// One entry larger than a batch: room is made for it, and given back with the reader.
			buf := C.realloc(r.buf, need)
			if buf == nil {
				return nil, syscall.ENOMEM
			}
			r.buf, r.size = buf, need
		default:
			return unsafe.Slice((*byte)(r.buf), int(n)), nil
		}
	}
}

func (r *libraryReader) close() {
	if r.t == nil {
		return
	}
	C.tally_close(r.t)
	C.free(r.buf)
	r.t, r.buf = nil, nil
	runtime.SetFinalizer(r, nil)
}
