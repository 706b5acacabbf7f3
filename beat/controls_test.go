package beat

import (
	"testing"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
)

func TestOwnOutput(t *testing.T) {
	f := func(yaml string, want bool) {
		t.Helper()
		c, err := common.NewConfigWithYAML([]byte(yaml), "test")
		if err != nil {
			t.Fatal(err)
		}
		b := &beat.Beat{Config: &beat.BeatConfig{}}
		if err := c.Unpack(b.Config); err != nil {
			t.Fatal(err)
		}
		if got := ownOutput(b); got != want {
			t.Errorf("%s: %v, want %v", yaml, got, want)
		}
	}
	f("output.logstash.hosts: [a]", true)
	f("output.file.path: /tmp", false)
	f("output.elasticsearch.hosts: [a]", false)
	f("output.fanout.outputs: {logstash: {hosts: [a]}, file: {path: /tmp}}", false)
	f("output: {}", false)
	if ownOutput(&beat.Beat{}) {
		t.Error("no configuration, and control records")
	}
}
