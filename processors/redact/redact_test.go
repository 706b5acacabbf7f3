package redact

import (
	"testing"

	"github.com/tallylog/tally/processors/processortest"
)

func TestKit(t *testing.T) { processortest.Check(t, "redact", New) }

func TestPresets(t *testing.T) {
	f := func(preset, in, want string) {
		t.Helper()
		p := processortest.Make(t, New, "{replacement: X, presets: "+preset+"}")
		if got, _ := p.mask(in); got != want {
			t.Errorf("%s\n  in %s\n got %s\nwant %s", preset, in, got, want)
		}
	}
	f("credit_card", "card 4111 1111 1111 1111, ok", "card X, ok")
	f("credit_card", "4111-1111-1111-1111", "X")
	f("credit_card", "n=5500005555555559;378282246310005", "n=X;X")
	f("credit_card", "17 4111111111111111 22", "17 X 22")
	f("credit_card", "4111 1111 1111 1112", "4111 1111 1111 1112")
	f("credit_card", "id 1700000000123 a4111111111111111", "id 1700000000123 a4111111111111111")
	f("credit_card", "41111111111111111111111111", "41111111111111111111111111")
	f("email", "from q.x+y@example.co.uk to a@b", "from X to a@b")
	f("ipv4", "10.0.0.1:80 and 1.2.3.4. not 1.2.3 or 1.2.3.4.5 or 300.1.1.1", "X:80 and X. not 1.2.3 or 1.2.3.4.5 or 300.1.1.1")
	f("ipv6", "[2001:db8::1]:443 ::1 fe80::1: at 10:05:03", "[X]:443 X X: at 10:05:03")
	f("jwt", "t=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_123 eyes", "t=X eyes")
	f("aws_access_key", "key AKIAIOSFODNN7EXAMPLE and AKIAX", "key X and AKIAX")
	f("secret", `password=hunter2&user=me`, `password=X&user=me`)
	f("secret", `{"api_key": "a b\"c", "n": 1}`, `{"api_key": "X", "n": 1}`)
	f("secret", `Authorization: Bearer abc.def`, `Authorization: Bearer X`)
	f("secret", `"{\"token\":\"abc\"}"`, `"{\"token\":\"X\"}"`)
	f("secret", `DB_PASSWORD='x y' tokens: 5 secret:`, `DB_PASSWORD='X' tokens: 5 secret:`)
	f("secret", `postgres://app:s3cr3t@db:5432/x https://example.com/a:b@c`, `postgres://app:X@db:5432/x https://example.com/a:b@c`)
	f("secret", "pushed with ghp_abcdefghijklmnopqrstuvwxyz0123456789, glpat-abcdefghij0123456789 and xoxb-123456789012-abc", "pushed with X, X and X")
	f("secret", `-----BEGIN RSA PRIVATE KEY-----\nMIIE/x+==\n-----END RSA PRIVATE KEY----- left`, "X left")
	f("secret", "sk_live_abcdefghijklmnop1234 AIzaSyA1234567890123456789012345678901x ghp_short", "X X ghp_short")
	f("ip", "10.0.0.1 and ::1 and 10:05:03", "X and X and 10:05:03")
	f("[email, secret]", "token=a@example.com,b", "token=X,b")
}

func TestProcess(t *testing.T) {
	f := processortest.Rows(t, New)
	f(`{presets: credit_card, keep_last: 4}`, `{"message":"4111 1111 1111 1111"}`, `{"message":"[REDACTED]1111"}`)
	f(`{presets: email, hash_key: 0123456789abcdef}`, `{"message":"a@example.com a@example.com"}`,
		`{"message":"[email:87c8707b0c61806881347867] [email:87c8707b0c61806881347867]"}`)
	f(`{patterns: [{name: n, pattern: 'user (\w+)'}], replacement: U}`, `{"message":"user bob left"}`, `{"message":"user U left"}`)
	f(`{presets: email, fields: [a, b]}`, `{"message":"q@example.com","a":"q@example.com","b":["q@example.com"]}`, `{"message":"q@example.com","a":"[REDACTED]","b":["[REDACTED]"]}`)
	f(`{presets: credit_card, fields: "*"}`, `{"x":{"y":4111111111111111}}`, `{"x":{"y":"[REDACTED]"}}`)
	f(`{patterns: [{name: n, pattern: bob}], keep_last: 2}`, `{"message":"bob"}`, `{"message":"[REDACTED]"}`)
}

func TestRefused(t *testing.T) {
	f := processortest.Refused(t, New)
	f("{}\n", "presets or patterns are wanted")
	f("presets: creditcard\n", "did you mean credit_card?")
	f("patterns: [{name: n, pattern: '('}]\n", "missing closing")
	f("{presets: email, keep_last: 20}\n", "from 0 to 8")
	f("{presets: email, keep_last: 2, hash_key: 0123456789abcdef}\n", "exclude each other")
	f("{presets: email, hash_key: short}\n", "at least 16")
}

// FuzzMask holds that every stretch found lies within the text, and that all of them are cut out.
func FuzzMask(f *testing.F) {
	f.Add("4111 1111 1111 1111 q@example.com password=\"x\\\"y\" ::1 1.2.3.4 eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.x")
	f.Add(`token: '`)
	p := processortest.Make(f, New, "{replacement: '', presets: [credit_card, email, ipv4, ipv6, jwt, aws_access_key, secret]}")
	f.Fuzz(func(t *testing.T, s string) {
		for _, find := range p.finders {
			for _, m := range find(s, nil) {
				if m.from < 0 || m.to <= m.from || m.to > len(s) {
					t.Fatalf("%q: %+v", s, m)
				}
			}
		}
		if got, changed := p.mask(s); changed && len(got) >= len(s) || !changed && got != s {
			t.Fatalf("%q became %q", s, got)
		}
	})
}

func BenchmarkProcess(b *testing.B) {
	processortest.Bench(b, processortest.Make(b, New, "presets: [credit_card, email, ipv4, jwt, aws_access_key, secret]"),
		`{"message":"83.149.9.216 - frank [17/May/2015:10:05:03 +0000] \"GET /presentations/logstash HTTP/1.1\" 200 203023 \"http://semicomplete.com\""}`)
}

func FuzzConfig(f *testing.F) {
	processortest.FuzzConfig(f, New, `{presets: [email, ip], patterns: [{name: n, pattern: "k=(.)"}], keep_last: 2}`, `{presets: secret, hash_key: 0123456789abcdef, fields: "*"}`)
}
