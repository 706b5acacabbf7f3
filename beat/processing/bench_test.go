package processing

import (
	"syscall"
	"testing"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/processors"
)

// The processors of a configuration that people run: only what comes from containers, and of it only some fields.
const containersOnly = `
- drop_event:
    when:
      not:
        regexp:
          journal.container_name: "^.+"
- include_fields:
    fields: [journal.container_name, journal.hostname, journal.container_id, journal.realtime_timestamp, message, "@metadata"]
`

// journalEntry is an entry of a container in the form of the old Journalbeat.
func journalEntry() common.MapStr {
	j := common.MapStr{"realtime_timestamp": int64(1494323963862751)}
	for _, n := range []string{"priority", "uid", "gid", "comm", "exe", "cmdline", "cap_effective", "systemd_cgroup", "systemd_unit",
		"systemd_slice", "boot_id", "machine_id", "hostname", "transport", "container_name", "container_id", "container_id_full",
		"container_tag", "source_realtime_timestamp", "cursor", "monotonic_timestamp"} {
		j[n] = "value of " + n
	}
	return common.MapStr{"message": "a line of some length, as applications write them", "journal": j, "type": "journal",
		"beat": common.MapStr{"name": "a", "hostname": "b", "version": "c"}, "host": common.MapStr{"name": "n"},
		"agent": common.MapStr{"name": "n"}, "ecs": common.MapStr{"version": "1"}}
}

// BenchmarkContainersOnly also gives the time of the processor, which other programs on the machine disturb less.
func BenchmarkContainersOnly(b *testing.B) {
	run := func(name string, list []processors.Processor) {
		b.Run(name, func(b *testing.B) {
			p := &processors.Processors{List: list}
			fields := journalEntry()
			e := &beat.Event{Timestamp: time.Now(), Meta: common.MapStr{"a": "b"}}
			b.ReportAllocs()
			before := cpu(b)
			for b.Loop() {
				e.Fields = fields
				if out, err := p.Run(e); err != nil || out == nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
	run("libbeat", libbeats(b, containersOnly))
	run("ours", chain(b, containersOnly))
}

func cpu(b *testing.B) int64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return r.Utime.Nano() + r.Stime.Nano()
}

// BenchmarkGrok is what a processor of ours costs with the way there and back.
func BenchmarkGrok(b *testing.B) {
	p := &processors.Processors{List: chain(b, "- grok: {patterns: ['%{WORD:first} %{WORD:second} %{GREEDYDATA:rest}']}")}
	fields := journalEntry()
	e := &beat.Event{Timestamp: time.Now()}
	b.ReportAllocs()
	for b.Loop() {
		e.Fields = fields
		if out, err := p.Run(e); err != nil || out == nil {
			b.Fatal(err)
		}
	}
}
