package journald

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elastic/beats/v7/filebeat/input/journald/pkg/journalfield"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/logp"
)

// TestSameAsFilebeat converts random entries with Filebeat's converter, too: names, types and values must be the same.
func TestSameAsFilebeat(t *testing.T) {
	theirs := journalfield.NewConverter(logp.NewLogger("test"), nil)
	ours := newConverter(&config{})
	random := rand.New(rand.NewPCG(3, 4))
	names := []string{"MY_FIELD", "_MY_OTHER", "__CURSOR"}
	for _, c := range conversions {
		names = append(names, c.field)
	}
	values := []string{"", "0", "12", "-3", "1000", "12,root", "x12", "9223372036854775808", "text", "/bin/sh -c \"echo a b\" c", "ü\n", " ", "4294967295"}
	for range 20_000 {
		e, m := &entry{}, map[string]string{}
		for range random.IntN(15) {
			name, value := names[random.IntN(len(names))], values[random.IntN(len(values))]
			if _, ok := m[name]; ok {
				continue
			}
			m[name] = value
			e.fields = append(e.fields, field{[]byte(name), []byte(value)})
		}
		want := theirs.Convert(m)
		got := ours.event(e, time.Time{}).Fields
		delete(got, "event")
		if !reflect.DeepEqual(want, got) {
			t.Fatalf("%v becomes\n%v\nwant\n%v", m, got, want)
		}
	}
}

func TestConvert(t *testing.T) {
	c := newConverter(&config{SaveRemoteHostname: true})
	now := time.Now()
	e := fieldsOf("MESSAGE=one", "MESSAGE=two", "_PID=1", "_PID=2", "_PID=3", "FOO=a", "_FOO=b", "__FOO=c", "PRIORITY=6", "PRIORITY=x",
		"_HOSTNAME=other", "BIN=a\xff\x00b")
	e.realtime, e.cut = 1_700_000_000_123_456, true
	for range 2 { // values are kept from entry to entry, lists are not
		got := c.event(e, now)
		if want := time.UnixMicro(1_700_000_000_123_456); !got.Timestamp.Equal(want) {
			t.Errorf("the time is %v, want %v", got.Timestamp, want)
		}
		for name, want := range map[string]any{
			"message": "one\ntwo", "journald.pid": []any{int64(1), int64(2), int64(3)}, "process.pid": int64(3),
			"journald.custom.foo": []string{"a", "b", "c"}, "syslog.priority": []any{int64(6), "x"}, "log.syslog.priority": []any{int64(6), "x"},
			"journald.custom.bin": "a\uFFFD\x00b", "log.source.address": "other", "host.hostname": "other",
			"log.flags": []string{"truncated"}, "event.kind": "event", "event.created": common.Time(now.UTC()),
		} {
			if v, err := got.Fields.GetValue(name); err != nil || !reflect.DeepEqual(v, want) {
				t.Errorf("%s is %#v, %v, want %#v", name, v, err, want)
			}
		}
	}
}

// TestTemplates has entries that differ in their messages only, and others between them: an event of a template is the one that would have
// been made without, and what becomes of an event afterwards touches no other.
func TestTemplates(t *testing.T) {
	c, plain := newConverter(&config{SaveRemoteHostname: true}), newConverter(&config{SaveRemoteHostname: true})
	plain.templates.off = true
	random := rand.New(rand.NewPCG(5, 6))
	static := [][]string{
		{}, {"_HOSTNAME=other", "_PID=1", "_UID=7", "_GID=8", "_CMDLINE=/bin/a b"}, {"TAG=a", "TAG=b", "TAG=c", "_PID=1", "_PID=x"},
		{"_PID=2", "FOO=a", "_FOO=b", "OBJECT_PID=3", "OBJECT_CMDLINE=x y", "_SOURCE_REALTIME_TIMESTAMP=1"}, {"LONG=" + strings.Repeat("x", maxRaw)},
	}
	messages := [][]string{{}, {"MESSAGE="}, {"MESSAGE=a"}, {"MESSAGE=b\xff"}, {"MESSAGE=a", "MESSAGE=b"}}
	for i := range 2000 {
		e := fieldsOf(slices.Concat(messages[random.IntN(len(messages))], static[random.IntN(len(static))])...)
		e.cut = random.IntN(10) == 0
		got, want := c.event(e, time.Time{}).Fields, plain.event(e, time.Time{}).Fields
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%s becomes\n%v\nwant\n%v", e.fields, got, want)
		}
		spoil(got)
		if i == 100 && (len(c.templates.all) == 0 || c.templates.used < 50) {
			t.Error("no templates are used")
		}
	}
	for i := range giveUpAfter {
		e := fieldsOf("MESSAGE=a", fmt.Sprint("N=", i))
		if got, want := c.event(e, time.Time{}).Fields, plain.event(e, time.Time{}).Fields; !reflect.DeepEqual(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
		if len(c.templates.all) > maxTemplates {
			t.Fatalf("%d templates are kept", len(c.templates.all))
		}
	}
	if !c.templates.off {
		t.Error("templates are made though no two entries are alike")
	}
}

// spoil changes everything in a map.
func spoil(m common.MapStr) {
	for k, v := range m {
		switch v := v.(type) {
		case common.MapStr:
			spoil(v)
		case []string:
			v[0] = "spoilt"
		case []any:
			v[0] = "spoilt"
		default:
			m[k] = "spoilt"
		}
	}
	m["more"] = "spoilt"
}

// TestRealFields reads fields of all kinds out of a journal file: binary, with several values, compressed, and too long.
func TestRealFields(t *testing.T) {
	path := filepath.Join(t.TempDir(), "system.journal")
	long := strings.Repeat("long ", 50_000)
	huge := strings.Repeat("x", maxValue+5)
	x := new(export)
	x.add("MESSAGE", "two\nlines", "TAG", "a", "TAG", "b", "BIN", "\x00\xff\x01", "LONG", long, "_UID", "7", "_GID", "8")
	x.add("MESSAGE", huge, "AFTER", "1")
	x.add("MESSAGE", "last")
	x.write(t, path)
	events := start(t, common.MapStr{"paths": []string{path}}, setup{}).wait(t, 3)
	want := func(i int, name string, want any) {
		t.Helper()
		if v, err := events[i].Fields.GetValue(name); err != nil || !reflect.DeepEqual(v, want) {
			t.Errorf("%s of event %d is %#.100v, %v, want %#.100v", name, i, v, err, want)
		}
	}
	want(0, "message", "two\nlines")
	want(0, "journald.custom.bin", "\x00\uFFFD\x01")
	want(0, "journald.custom.long", long)
	want(0, "user.id", "7")
	want(0, "user.group.id", "8")
	want(0, "journald.host.boot_id", testBoot)
	if v, _ := events[0].Fields.GetValue("journald.custom.tag"); !reflect.DeepEqual(v, []string{"a", "b"}) && !reflect.DeepEqual(v, []string{"b", "a"}) {
		t.Errorf("the field with two values is %v", v)
	}
	want(1, "message", huge[:maxValue])
	want(1, "log.flags", []string{"truncated"})
	want(1, "journald.custom.after", "1")
	want(2, "message", "last")
	if _, err := events[2].Fields.GetValue("log.flags"); err == nil {
		t.Error("an event is marked as cut that was not")
	}
}
