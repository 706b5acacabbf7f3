package journald

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"regexp"
	"strings"
	"unsafe"
)

// catalog explains messages by their MESSAGE_ID in the words of the machine's message catalog (journalctl --catalog), and remembers
// them. It is used by one goroutine, after the library was loaded.
type catalog struct {
	texts map[id128]string
}

// maxCatalog bounds what is remembered.
const maxCatalog = 1024

var catalogVariable = regexp.MustCompile(`@[A-Z0-9_]+@`)

// explain is the entry's text of the catalog with its fields filled in, "" where it has none. A variable without a field stays as
// its name, as in libsystemd.
func (c *catalog) explain(e *entry) string {
	raw := e.get("MESSAGE_ID")
	if raw == nil {
		return ""
	}
	id, err := parseID128(string(raw))
	if err != nil {
		return ""
	}
	text, ok := c.texts[id]
	if !ok {
		if t := C.tally_catalog((*C.uchar)(unsafe.Pointer(&id[0]))); t != nil {
			text = C.GoString(t)
			C.free(unsafe.Pointer(t))
		}
		if c.texts == nil || len(c.texts) >= maxCatalog {
			c.texts = map[id128]string{}
		}
		c.texts[id] = text
	}
	if text == "" {
		return ""
	}
	return strings.ToValidUTF8(catalogVariable.ReplaceAllStringFunc(text, func(v string) string {
		name := v[1 : len(v)-1]
		if value := e.get(name); value != nil {
			return string(value)
		}
		return name
	}), "\uFFFD")
}
