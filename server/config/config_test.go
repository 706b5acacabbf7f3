package config

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

func env(k string) (string, bool) {
	v, ok := map[string]string{"PORT": "6000", "LEVEL": "debug"}[k]
	return v, ok
}

func TestParse(t *testing.T) {
	c, err := Parse("tally.yml", []byte(`
http:
  address: 127.0.0.1:${PORT}
  max_body: 10MiB
lumberjack:
  address: 0.0.0.0:5044
  max_connections: ${CONNS:7}
auth:
  networks: [10.0.0.0/8]
limits:
  default: {events_per_second: 5000}
  tenants: {a: {bytes_per_second: 1MB, bytes_per_day: 2GiB}}
retention:
  age: 7d
  size: 1.5GB
log: {level: "${LEVEL}"}
buffer:
`), env)
	if err != nil {
		t.Fatal(err)
	}
	if c.HTTP.Address != "127.0.0.1:6000" || c.HTTP.MaxBody != 10<<20 || c.Lumberjack.MaxConnections != 7 || c.Log.Level != "debug" ||
		time.Duration(c.Retention.Age) != 168*time.Hour || c.Retention.Size != 1_500_000_000 || c.Auth.Networks[0].String() != "10.0.0.0/8" || c.Buffer.MaxBytes != 10<<30 {
		t.Errorf("got %+v", c)
	}
	if c.Limits.Default.EventsPerSecond != 5000 || c.Limits.Tenants["a"] != (Rates{BytesPerSecond: 1e6, BytesPerDay: 2 << 30}) {
		t.Errorf("limits %+v", c.Limits)
	}
	if _, err := Parse("x", nil, env); err != nil {
		t.Errorf("an empty file: %v", err)
	}
}

// TestErrors holds that each mistake names file, line and key.
func TestErrors(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		_, err := Parse("tally.yml", []byte(text), env)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q:\n got %v\nwant %s", text, err, want)
		}
	}
	f("http:\n  adress: x\n", "tally.yml:2: http.adress: unknown key; known here are address,")
	f("\nwhat: 1\n", "tally.yml:2: what: unknown key")
	f("http: 7\n", "tally.yml:1: http: keys and values are wanted")
	f("http:\n  - a\n", "tally.yml:2: http: keys")
	f("http:\n address: [1]\n", "tally.yml:2: http.address: a single value")
	f("http:\n address: nonsense\n", `tally.yml:2: http.address: "nonsense" is no address`)
	f("lumberjack:\n max_connections: many\n", `tally.yml:2: lumberjack.max_connections: "many" is not a whole number`)
	f("lumberjack:\n  address: 0.0.0.0:5044\n", "tally.yml:2: lumberjack.address: \"0.0.0.0:5044\" is open beyond this machine without authentication")
	f("auth:\n  networks:\n  - x\n", `tally.yml:3: auth.networks[0]: "x" is no network`)
	f("auth:\n  networks: x\n", "tally.yml:2: auth.networks: a list is wanted")
	f("auth:\n  certificates:\n  - {name: x}\n", "tally.yml:3: auth.certificates[0]: the key tenant is missing")
	f("auth:\n  certificates: [{name: x, tenant: y}]\n", "tally.yml:2: auth.certificates: clients are not asked for a certificate: set lumberjack.tls.client_authorities")
	f("limits:\n  default: {events_per_second: -1}\n", "tally.yml:2: limits.default: the value is too small")
	f("limits:\n  tenants:\n    a: {bytes: 1}\n", "tally.yml:3: limits.tenants.a.bytes: unknown key")
	f("retention:\n  age: soon\n", `tally.yml:2: retention.age: "soon" is no duration`)
	f("retention:\n  age: 7d\n  ledger: 7d\n", "tally.yml:3: retention.ledger: the account must be kept longer")
	f("retention:\n  ledger: 8d\n  rules:\n  - {name: a, tenant: x, age: 9d}\n", "tally.yml:2: retention.ledger: the account must be kept longer")
	f("retention:\n  rules:\n  - {name: a, tenant: x, age: 9d}\n  - {name: a, tenant: y, age: 9d}\n", `tally.yml:2: retention.rules[1]: name: there is a class "a" already`)
	f("retention:\n  rules:\n  - {name: a, age: 9d}\n", "tally.yml:2: retention.rules[0]: tenant, namespace or stream is wanted")
	elastic := "storage:\n  type: elasticsearch\n  elasticsearch: {addresses: [http://127.0.0.1:9200], index: tally-all}\n"
	f(elastic+"retention:\n  age: 9d\n", `tally.yml:5: retention: indices are deleted as wholes`)
	f("retention:\n  size: big\n", `tally.yml:2: retention.size: "big" is no size`)
	f("log:\n  level: loud\n", `tally.yml:2: log.level: "loud" is none of`)
	f("log:\n  level: ${NOPE}\n", "tally.yml:2: environment variable NOPE is not set")
	f("http: {address: x\n", "tally.yml:")
	f("log:\n  level: info\n  level: warn\n", "tally.yml:3: log.level: the key stands twice")
	f("http:\n  tls:\n    key: k\n", "tally.yml:3: http.tls: certificate and key go together")
	f("storage:\n  type: floppy\n", `tally.yml:2: storage.type: "floppy" is not known`)
	f("buffer:\n  checkpoint: 1ms\n", "tally.yml:2: buffer.checkpoint: the value is too small")
}

// TestDocumented holds that docs/server.md shows every key, with its default.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/server.md")
	if err != nil {
		t.Fatal(err)
	}
	_, sample, _ := strings.Cut(string(text), "```yaml\n")
	sample, _, ok := strings.Cut(sample, "```")
	if !ok {
		t.Fatal("docs/server.md has no sample")
	}
	c, err := Parse("docs/server.md", []byte(sample), env)
	if err != nil {
		t.Fatal(err)
	}
	c.Auth.Networks, c.Auth.Certificates, c.Limits.Tenants, c.Retention.Rules, c.Storage.Elasticsearch.Addresses = nil, nil, nil, nil, nil // empty in the sample
	if want := Default(); !reflect.DeepEqual(c, want) {
		t.Errorf("the sample gives\n%+v, the defaults are\n%+v", c, want)
	}
	for _, key := range keys(reflect.TypeOf(c)) {
		if !strings.Contains(sample, key+":") {
			t.Errorf("the sample lacks %s", key)
		}
	}
}

func keys(t reflect.Type) (out []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Type.Kind() == reflect.Struct {
			out = append(out, keys(f.Type)...)
		}
		out = append(out, f.Tag.Get("yaml"))
	}
	return out
}

func TestParseDuration(t *testing.T) {
	f := func(s string, want time.Duration) {
		t.Helper()
		if got, err := ParseDuration(s); got != want || err != nil {
			t.Errorf("%q: %v, %v, want %v", s, got, err, want)
		}
	}
	f("1d", 24*time.Hour)
	f("2w1d12h", 15*24*time.Hour+12*time.Hour)
	f("90s", 90*time.Second)
	f("0s", 0)
	for _, bad := range []string{"", "d", "-1d", "1x", "1.5d", "-3h", "1d2"} {
		if _, err := ParseDuration(bad); err == nil {
			t.Errorf("%q is taken for a duration", bad)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("http:\n  address: 127.0.0.1:1\n")
	f.Add("a: &x [*x]\n${V}: 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := Parse("f", []byte(text), env); err != nil && !strings.HasPrefix(err.Error(), "f") {
			t.Errorf("the error does not name the file: %v", err)
		}
	})
}

func TestLedgerAge(t *testing.T) {
	f := func(age, ledger, want time.Duration) {
		t.Helper()
		if got := (&Retention{Age: Duration(age), Ledger: Duration(ledger)}).LedgerAge(); got != want {
			t.Errorf("age %v, ledger %v: %v, want %v", age, ledger, got, want)
		}
	}
	const day = 24 * time.Hour
	f(0, 0, 400*day)
	f(7*day, 0, 400*day)
	f(500*day, 0, 530*day)
	f(7*day, 8*day, 8*day)
}
