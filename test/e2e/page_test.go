package e2e

import (
	"testing"

	"github.com/tallylog/tally/test/rig"
)

// TestPage drives a browser through the page of a real server.
func TestPage(t *testing.T) {
	s := rig.NewServer(t, t.TempDir(), "").Start()
	rig.Page(t, "http://"+s.HTTP, "admin", rig.Password)
}
