package e2e

import (
	"testing"

	"github.com/tallylog/tally/test/rig"
)

// TestPage drives a browser through the pages of a real server, each script on an empty one.
func TestPage(t *testing.T) {
	for _, name := range []string{"page", "search"} {
		t.Run(name, func(t *testing.T) {
			s := rig.NewServer(t, t.TempDir(), "").Start()
			rig.Page(t, name, "http://"+s.HTTP, "admin", rig.Password)
		})
	}
}
