package journald

import (
	"fmt"
	"testing"
	"time"

	"github.com/elastic/beats/v7/libbeat/common"
)

// TestEntryFields: what Journalbeat 5 made of an entry, under its options.
func TestEntryFields(t *testing.T) {
	e := fieldsOf("MESSAGE=12", "_HOSTNAME=node1", "CONTAINER_ID=123456789012", "CONTAINER_NAME=k8s_a_b_c_d_0", "PRIORITY=3", "SYSLOG_FACILITY=3", "_PID=7",
		"N=-5", "F=1.5", "LEADING=007", "EXP=1e5", "ID=52e10", "PLUS=+5", "NEG=-0", "TRAIL=1.50", "INF=Inf", "NAN=NaN", "BIG=18446744073709551615", "HUGE=1844674407370955161500",
		"YES=true", "NO=FALSE", "YEAH=tRUE", "EMPTY=", "FOO=1", "_FOO=b", "BIN=a\xff")
	e.cursor = cursor{seq: 5, realtime: 1_494_323_963_862_751, monotonic: 1_035_394_389_930, xor: 0xab}
	f := func(c entryFields, want map[string]any) {
		t.Helper()
		conv := newConverter(&config{EntryFields: &c})
		for range 2 { // values are kept from entry to entry
			ev := conv.event(e, time.Time{})
			if !ev.Timestamp.Equal(time.UnixMicro(1_494_323_963_862_751)) {
				t.Errorf("the time is %v", ev.Timestamp)
			}
			flat := ev.Fields.Flatten()
			for name, want := range want {
				got, ok := flat[name]
				if want == nil && ok || want != nil && fmt.Sprintf("%T %[1]v", got) != fmt.Sprintf("%T %[1]v", want) {
					t.Errorf("%+v: %s is %T %[3]v, want %T %[4]v", c, name, got, want)
				}
			}
		}
	}
	seed := entryFields{Target: "journal", CleanNames: true, Numbers: true, Type: "journal"}
	f(seed, map[string]any{
		"message": "12", "journal.message": nil, "journal.hostname": "node1", "journal.container_id": "123456789012",
		"journal.container_name": "k8s_a_b_c_d_0", "journal.priority": int64(3), "journal.syslog_facility": int64(3), "journal.pid": int64(7),
		"journal.n": int64(-5), "journal.f": 1.5, "journal.leading": "007", "journal.exp": "1e5", "journal.id": "52e10", "journal.plus": "+5",
		"journal.neg": "-0", "journal.trail": "1.50", "journal.inf": "Inf", "journal.nan": "NaN", "journal.big": uint64(18446744073709551615),
		"journal.huge": "1844674407370955161500", "journal.yes": true, "journal.no": false, "journal.yeah": "tRUE", "journal.empty": "",
		"journal.foo": []any{int64(1), "b"}, "journal.bin": "a\uFFFD", "type": "journal", "@realtime_timestamp": int64(1_494_323_963_862_751),
		"journal.realtime_timestamp": int64(1_494_323_963_862_751), "journal.monotonic_timestamp": int64(1_035_394_389_930),
		"journal.cursor": e.cursor.String(), "event.created": nil, "host.hostname": nil,
	})
	f(entryFields{Target: "a.b", CleanNames: true}, map[string]any{
		"message": "12", "a.b.pid": "7", "a.b.f": "1.5", "a.b.realtime_timestamp": "1494323963862751", "a.b.yes": true, "type": nil,
	})
	f(entryFields{Numbers: true, PriorityNames: true, FacilityNames: true, Type: "x"}, map[string]any{
		"message": "12", "MESSAGE": "12", "_HOSTNAME": "node1", "PRIORITY": "error", "SYSLOG_FACILITY": "daemon", "_PID": int64(7),
		"__REALTIME_TIMESTAMP": int64(1_494_323_963_862_751), "__CURSOR": e.cursor.String(), "FOO": int64(1), "_FOO": "b", "type": "x",
	})
	e = fieldsOf("MESSAGE=one", "MESSAGE=two", "_MESSAGE=three", "TYPE=own", "PRIORITY=9")
	e.cut, e.realtime = true, 1_494_323_963_862_751
	f(entryFields{CleanNames: true, PriorityNames: true, Type: "x"}, map[string]any{"message": "one\ntwo\nthree", "type": "own", "priority": "9"})
	f(entryFields{Target: "j", CleanNames: true, Type: "x"}, map[string]any{"message": "one\ntwo", "j.message": "three", "type": "x", "j.type": "own"})
	for _, target := range []string{"a..b", "a.", ".a", "message", "message.x", "@metadata", "type"} {
		cfg := defaultConfig()
		if err := common.MustNewConfigFrom(common.MapStr{"entry_fields.target": target}).Unpack(&cfg); err == nil {
			t.Errorf("the target %q is accepted", target)
		}
	}
}

// TestEntryFieldsOfPieces: a message that was joined has nothing left of its pieces, in these names either.
func TestEntryFieldsOfPieces(t *testing.T) {
	path := t.TempDir() + "/system.journal"
	new(export).add("MESSAGE", "one ", "CONTAINER_ID_FULL", "c", "CONTAINER_PARTIAL_MESSAGE", "true", "PRIORITY", "6").
		add("MESSAGE", "two", "CONTAINER_ID_FULL", "c", "PRIORITY", "6").write(t, path)
	for _, clean := range []bool{true, false} {
		r := start(t, common.MapStr{"paths": []string{path}, "entry_fields": common.MapStr{"target": "journal", "clean_names": clean}}, setup{})
		e := r.wait(t, 1)[0]
		r.stop(t)
		flat := e.Fields.Flatten()
		whole := flat["journal.MESSAGE"] == "one two"
		if flat["message"] != "one two" || whole == clean || flat["journal.container_partial_message"] != nil || flat["journal.CONTAINER_PARTIAL_MESSAGE"] != nil {
			t.Errorf("clean_names %v: %v", clean, flat)
		}
	}
}
