package beat

import (
	"testing"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/logp"
)

func TestOptions(t *testing.T) {
	if err := logp.DevelopmentSetup(logp.WithLevel(logp.InfoLevel), logp.ToDiscardOutput()); err != nil { // debug output shows single events
		t.Fatal(err)
	}
	f := func(yaml string, controls, bundles bool) {
		t.Helper()
		c, err := common.NewConfigWithYAML([]byte(yaml), "test")
		if err != nil {
			t.Fatal(err)
		}
		b := &beat.Beat{Config: &beat.BeatConfig{}}
		if err := c.Unpack(b.Config); err != nil {
			t.Fatal(err)
		}
		w := &wiring{}
		if _, err := w.processing()(beat.Info{}, logp.NewLogger("test"), c); err != nil {
			t.Fatal(err)
		}
		if got := (&tallybeat{wiring: w}).options(b); got.controls != controls || got.bundles != bundles {
			t.Errorf("%s: %+v, want control records %v, bundles %v", yaml, got, controls, bundles)
		}
	}
	f("output.logstash.hosts: [a]", true, true)
	f("output.logstash.hosts: [a]\nqueue.mem.events: 100", true, true)
	f("output.logstash.hosts: [a]\nprocessors: [{drop_fields: {fields: [x]}}]", true, true)
	f("output.logstash.hosts: [a]\nprocessors: [{drop_fields: {fields: [message]}}]", true, false)
	f("output.logstash.hosts: [a]\nqueue.disk.max_size: 1GB", true, false)
	f("output.logstash.hosts: [a]\ntimeseries.enabled: true", true, false)
	f("output.file.path: /tmp", false, false)
	f("output.elasticsearch.hosts: [a]", false, false)
	f("output.fanout.outputs: {logstash: {hosts: [a]}, file: {path: /tmp}}", true, true)
	f("output.tally.hosts: [a]", true, false)
	f("output: {}", false, false)
	if o := (&tallybeat{wiring: &wiring{}}).options(&beat.Beat{}); o.controls || o.bundles {
		t.Errorf("no configuration, and %+v", o)
	}
}
