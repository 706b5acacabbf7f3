package hostid

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
)

// EnvName is the environment variable that sets the id by hand: on cloned machines, or where a container sees neither the
// machine-id nor the firmware of its node.
const EnvName = "TALLY_HOST_ID"

// Get returns the id of this machine as 20 hexadecimal characters. It is a hash of TALLY_HOST_ID where that is set; else of
// machine-id(5) and the firmware's product_uuid, whichever of the two can be read (the second only by root); else of the
// boot's random id. Callers keep what they derive from it in the registry, so that a change of it does not change what has
// been named already.
func Get() string { return get("/", os.Getenv(EnvName)) }

func get(root, configured string) string {
	h := sha256.New()
	add := func(kind string, text []byte) bool {
		text = bytes.TrimSpace(text)
		if len(text) == 0 {
			return false
		}
		h.Write([]byte(kind + "\x00"))
		h.Write(text)
		h.Write([]byte{0})
		return true
	}
	first := func(kind string, paths ...string) bool {
		for _, p := range paths {
			if b, err := os.ReadFile(filepath.Join(root, p)); err == nil && add(kind, b) {
				return true
			}
		}
		return false
	}
	if !add("configured", []byte(configured)) {
		machine := first("machine-id", "etc/machine-id", "var/lib/dbus/machine-id")
		product := first("product", "sys/class/dmi/id/product_uuid")
		if !machine && !product {
			first("boot", "proc/sys/kernel/random/boot_id")
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:10])
}
