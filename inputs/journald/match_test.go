package journald

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/elastic/beats/v7/libbeat/common"
)

// fieldsOf makes an entry of "NAME=value" texts.
func fieldsOf(fields ...string) *entry {
	e := &entry{}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, "=")
		e.fields = append(e.fields, field{[]byte(name), []byte(value)})
	}
	return e
}

func unpackConfig(t testing.TB, yaml string) (config, error) {
	t.Helper()
	raw, err := common.NewConfigWithYAML([]byte(yaml), "test")
	if err != nil {
		t.Fatal(err)
	}
	c := defaultConfig()
	return c, raw.Unpack(&c)
}

func TestMatches(t *testing.T) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	thisBoot := "_BOOT_ID=" + strings.ReplaceAll(strings.TrimSpace(string(boot)), "-", "")
	f := func(yaml string, want bool, fields ...string) {
		t.Helper()
		c, err := unpackConfig(t, yaml)
		if err == nil {
			err = c.prepare(time.Now(), false)
		}
		if err != nil {
			t.Errorf("%s: %v", yaml, err)
			return
		}
		if got := c.match == nil || c.match.match(fieldsOf(fields...)); got != want {
			t.Errorf("%s on %q is %v, want %v", yaml, fields, got, want)
		}
	}
	f(`{}`, true)
	f(`include_matches: []`, true, "A=1")
	f(`include_matches: ["A=1"]`, true, "B=2", "A=1")
	f(`include_matches: ["A=1"]`, true, "A=0", "A=1")
	f(`include_matches: ["A=1"]`, false, "A=12")
	f(`include_matches: ["A=1", "A=2"]`, true, "A=2")
	f(`include_matches: ["A=1", "B=2"]`, false, "A=1")
	f(`include_matches: ["A=1", "A=3", "B=2"]`, true, "A=3", "B=2")
	f(`include_matches: ["A=b=c"]`, true, "A=b=c")
	f(`include_matches: ["systemd.unit=a.service"]`, true, "_SYSTEMD_UNIT=a.service")
	f(`include_matches: ["container.name=k8s_*"]`, true, "CONTAINER_NAME=k8s_x")
	f(`include_matches: ["CONTAINER_NAME=k8s_*_ns_*"]`, true, "CONTAINER_NAME=k8s_a_ns_b")
	f(`include_matches: ["CONTAINER_NAME=k8s_*_ns_*"]`, false, "CONTAINER_NAME=k8s_ns_b")
	f(`include_matches: ["A=a*a"]`, false, "A=a")
	f(`include_matches: ["A=*"]`, true, "A=")
	f(`include_matches: ["A=*"]`, false, "B=1")
	f(`include_matches.match: ["A=1", "B=2"]`, false, "B=2")
	f(`include_matches.or: [{match: ["A=1"]}, {match: ["B=2", "C=*"]}]`, true, "B=2", "C=3")
	f(`include_matches.or: [{match: ["A=1"]}, {match: ["B=2", "C=*"]}]`, false, "B=2")
	f(`include_matches.and: [{match: ["A=1"]}, {or: [{match: ["B=2"]}, {match: ["C=3"]}]}]`, true, "A=1", "C=3")
	f(`include_matches.and: [{match: ["A=1"]}, {or: [{match: ["B=2"]}, {match: ["C=3"]}]}]`, false, "A=1")
	f(`include_matches: {match: ["A=1"], or: [{match: ["B=2"]}]}`, false, "A=1")
	f(`units: [nginx, "k*.scope"]`, true, "_SYSTEMD_UNIT=nginx.service")
	f(`units: [nginx, "k*.scope"]`, true, "_SYSTEMD_UNIT=kubepods.scope")
	f(`units: [nginx]`, true, "_PID=1", "UNIT=nginx.service")
	f(`units: [nginx]`, false, "_PID=2", "UNIT=nginx.service")
	f(`units: [nginx]`, true, "_UID=0", "OBJECT_SYSTEMD_UNIT=nginx.service")
	f(`units: [nginx]`, true, "_UID=0", "MESSAGE_ID=fc2e22bc6ee647b6b90729ab34a250b1", "COREDUMP_UNIT=nginx.service")
	f(`units: [nginx]`, false, "_TRANSPORT=kernel")
	f(`{units: [nginx], kernel: true}`, true, "_TRANSPORT=kernel")
	f(`kernel: true`, true, "_TRANSPORT=kernel")
	f(`kernel: true`, false, "_TRANSPORT=journal")
	f(`{identifiers: [sudo], syslog_identifiers: [sshd]}`, true, "SYSLOG_IDENTIFIER=sshd")
	f(`{identifiers: [sudo], transports: [syslog, stdout]}`, false, "SYSLOG_IDENTIFIER=sudo", "_TRANSPORT=journal")
	f(`{identifiers: [sudo], transports: [syslog, stdout]}`, true, "SYSLOG_IDENTIFIER=sudo", "_TRANSPORT=stdout")
	f(`boot: current`, true, thisBoot)
	f(`boot: current`, false, "_BOOT_ID="+testBoot)
	f(`boot: 01234567-89ab-cdef-0123-456789abcdef`, true, "_BOOT_ID="+testBoot)
}

func TestAlternatives(t *testing.T) {
	c, err := unpackConfig(t, `include_matches: ["A=1", "B=2"]`)
	if err == nil {
		err = c.prepare(time.Now(), true)
	}
	if err != nil || !c.match.match(fieldsOf("B=2")) || c.match.match(fieldsOf("C=2")) {
		t.Errorf("the list is not one of alternatives: %v", err)
	}
}

func TestConfigErrors(t *testing.T) {
	f := func(yaml, want string) {
		t.Helper()
		c, err := unpackConfig(t, yaml)
		if err == nil {
			err = c.prepare(time.Now(), false)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got the error %v, want one with %q", yaml, err, want)
		}
	}
	f(`seek: middle`, "want head, tail, since or cursor")
	f(`cursor_seek_fallback: cursor`, "want head, tail, since or none")
	f(`seek: since`, "since must be set")
	f(`since: -1h`, "since must be set")
	f(`{seek: since, since: yesterday}`, "want a duration")
	f(`boot: last`, "want current or a boot id")
	f(`include_matches: ["A"]`, "want FIELD=value")
	f(`include_matches.not: ["A=1"]`, "unknown key \"not\"")
	f(`include_matches.or: [{match: ["=1"]}]`, "want FIELD=value")
	f(`backoff: 0`, "backoff")
	f(`partial_timeout: -1s`, "partial_timeout")
}

func TestParseSince(t *testing.T) {
	now := time.Date(2024, 5, 2, 0, 0, 0, 0, time.UTC)
	for s, want := range map[string]time.Time{
		"-24h": now.Add(-24 * time.Hour), "90s": now.Add(-90 * time.Second),
		"2024-05-01T10:00:00Z": time.Date(2024, 5, 1, 10, 0, 0, 0, time.UTC), "2024-05-01 10:00:00": time.Date(2024, 5, 1, 10, 0, 0, 0, time.Local),
	} {
		if got, err := parseSince(s, now); err != nil || !got.Equal(want) {
			t.Errorf("%q is %v, %v, want %v", s, got, err, want)
		}
	}
}

// TestFiltered has matches pass over entries: the position of the next event, or of the next run, says how many.
func TestFiltered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "system.journal")
	store := filepath.Join(t.TempDir(), "positions")
	x := new(export)
	x.add("MESSAGE", "a", "CONTAINER_NAME", "k8s_a").lines(3).add("MESSAGE", "b", "CONTAINER_NAME", "k8s_b").lines(2).write(t, path)
	cfg := common.MapStr{"paths": []string{path}, "include_matches": []string{"CONTAINER_NAME=k8s_*"}}
	r := start(t, cfg, setup{store: store})
	if p := positionOf(t, r.wait(t, 2)[1]); p.From != 5 || p.Skipped != 3 {
		t.Errorf("position %+v, want 5 with 3 skipped", p)
	}
	waitFor(t, func() bool {
		var at position
		_, err := r.store.Get("journald::"+path+"::"+journalID(t, path).String(), &at)
		return err == nil && at.Next == 8 && at.Skipped == 2
	})
	r.stop(t)
	x.lines(1).add("MESSAGE", "c", "CONTAINER_NAME", "k8s_c").write(t, path)
	r = start(t, cfg, setup{store: store})
	if p := positionOf(t, r.wait(t, 1)[0]); p.From != 9 || p.Skipped != 3 {
		t.Errorf("after a restart: position %+v, want 9 with 3 skipped", p)
	}
}
