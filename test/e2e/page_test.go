package e2e

import (
	"flag"
	"testing"

	"github.com/tallylog/tally/test/rig"
)

var long = flag.Bool("long", false, "search and scroll five million lines in place of 200,000: takes many minutes")

// TestPage drives a browser through the pages of a real server, each script on an empty one.
func TestPage(t *testing.T) {
	var env []string
	if *long {
		env = []string{"LONG_LIST=5000000", "FIRST_ROWS=500"}
	}
	// What the pages beside the search show of pipelines and dead letters.
	config := map[string]string{"pages": `
pipelines:
- name: strict
  when: {equals: {kind: strict}}
  processors:
  - grok: {field: message, patterns: ['%{NUMBER:n:int} apples']}
  on_failure: dead_letter
`}
	for _, name := range []string{"page", "search", "pages"} {
		t.Run(name, func(t *testing.T) {
			s := rig.NewServer(t, t.TempDir(), config[name]).Start()
			rig.Page(t, name, "http://"+s.HTTP, "admin", rig.Password, env...)
		})
	}
}
