package urlparse

import (
	"testing"

	"github.com/tallylog/tally/processors/processortest"
)

func TestKit(t *testing.T) { processortest.Check(t, "urlparse", New) }

func TestProcess(t *testing.T) {
	f := processortest.Rows(t, New)
	f(`field: u`, `{"u":"https://me:secret@example.com:8443/a%20b/c.tar?x=1&y#top"}`, `{"u":"https://me:secret@example.com:8443/a%20b/c.tar?x=1&y#top",
		"url":{"scheme":"https","domain":"example.com","port":8443,"path":"/a b/c.tar","extension":"tar","query":"x=1&y","fragment":"top","username":"me"}}`)
	f(`{field: u, target_prefix: p}`, `{"u":"/x?y"}`, `{"u":"/x?y","p":{"path":"/x","query":"y"}}`)
	f(`field: u`, `{"u":"http://[::1]:80/"}`, `{"u":"http://[::1]:80/","url":{"scheme":"http","domain":"::1","port":80,"path":"/"}}`)
	f(`field: u`, `{"u":"nonsense"}`, `error: neither a URL`)
	f(`field: u`, `{"u":"http://a b/"}`, `error: neither a URL`)
	f(`field: u`, `{"v":"x"}`, `error: is missing`)
	f(`{field: u, ignore_missing: true}`, `{"v":"x"}`, `{"v":"x"}`)
	f(`{field: u, ignore_failure: true}`, `{"u":"x"}`, `{"u":"x"}`)
	processortest.Refused(t, New)("target_prefix: tally\n", "cannot be set")
}

func BenchmarkProcess(b *testing.B) {
	processortest.Bench(b, processortest.Make(b, New, `field: message`), `{"message":"https://example.com:8443/a/b.html?x=1&y=2"}`)
}

func FuzzProcess(f *testing.F) {
	processortest.Fuzz(f, New, `field: message`, "https://me:secret@example.com:8443/a%20b/c.tar?x=1&y#top", "http://[::1]:80/", "/x?y", "//", "%zz", "a:b")
}
