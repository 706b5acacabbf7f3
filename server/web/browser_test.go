package web

import (
	"net/http/httptest"
	"testing"

	"github.com/tallylog/tally/test/rig"
)

// TestPageInBrowser drives Chromium through the main flows of the page on an API in memory, which can also be made to fail:
// to skip, to break off, to refuse. test/e2e does the same on a real server.
func TestPageInBrowser(t *testing.T) {
	server := httptest.NewServer(newFakeAPI().handler())
	defer server.Close()
	// Tails stay open until their client goes away.
	defer server.CloseClientConnections()
	rig.Page(t, "page", server.URL, fakeUser, fakePassword, "TALLY_FAKE=1")
}
