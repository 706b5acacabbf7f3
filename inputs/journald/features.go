package journald

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// features names the incompatible flags of the format, in the order of their bits: what a reader of the file must know.
var features = []string{"compressed-xz", "compressed-lz4", "keyed-hash", "compressed-zstd", "compact"}

func featureName(bit int) string {
	if bit < len(features) {
		return features[bit]
	}
	return fmt.Sprintf("incompatible flag %d", bit)
}

// missingFeatures says which features of a file this machine's libsystemd does not know: it is given headers with one of them each.
func missingFeatures(open opener, f *file) error {
	var all, missing []string
	for bit := range 32 {
		if f.flags&(1<<bit) == 0 {
			continue
		}
		all = append(all, featureName(bit))
		if !knows(open, f.path, bit) {
			missing = append(missing, featureName(bit))
		}
	}
	if len(missing) == 0 {
		return fmt.Errorf("it needs features that this machine's libsystemd does not know: one of %s", strings.Join(all, ", "))
	}
	return fmt.Errorf("it needs %s, which this machine's libsystemd does not know", strings.Join(missing, ", "))
}

// knows is true where a feature is known, or where that cannot be found out.
func knows(open opener, path string, bit int) bool {
	header := make([]byte, 4096)
	f, err := os.Open(path)
	if err != nil {
		return true
	}
	defer f.Close()
	if _, err := f.ReadAt(header, 0); err != nil && !errors.Is(err, io.EOF) {
		return true
	}
	binary.LittleEndian.PutUint32(header[12:], 1<<bit)
	probe, err := os.CreateTemp("", "tally-*.journal")
	if err != nil {
		return true
	}
	defer os.Remove(probe.Name())
	defer probe.Close()
	if _, err := probe.Write(header); err != nil {
		return true
	}
	r, err := open([]string{probe.Name()}, place{})
	if err == nil {
		r.close()
	}
	return !errors.Is(err, syscall.EPROTONOSUPPORT)
}
