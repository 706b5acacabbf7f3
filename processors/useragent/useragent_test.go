package useragent

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tallylog/tally/processors/processortest"
)

const firefox = `Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:124.0) Gecko/20100101 Firefox/124.0`

func TestKit(t *testing.T) { processortest.Check(t, "user_agent", New) }

func TestProcess(t *testing.T) {
	f := processortest.Rows(t, New)
	f(`{field: u}`, `{"u":"`+firefox+`"}`, `{"u":"`+firefox+`","user_agent":{"original":"`+firefox+`","name":"Firefox","version":"124.0",
		"os":{"name":"Ubuntu","full":"Ubuntu"},"device":{"name":"Other"}}}`)
	f(`{field: u, target_field: c}`, `{"u":"curl/8.5.0"}`, `{"u":"curl/8.5.0","c":{"original":"curl/8.5.0","name":"curl","version":"8.5.0","device":{"name":"Other"}}}`)
	f(`{field: u}`, `{"u":"nobody knows this"}`, `{"u":"nobody knows this","user_agent":{"original":"nobody knows this","name":"Other","device":{"name":"Other"}}}`)
	iphone := "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4.1 Mobile/15E148 Safari/604.1"
	f(`{field: u}`, `{"u":"`+iphone+`"}`, `{"u":"`+iphone+`","user_agent":{"original":"`+iphone+`","name":"Mobile Safari","version":"17.4.1",
		"os":{"name":"iOS","version":"17.4.1","full":"iOS 17.4.1"},"device":{"name":"iPhone"}}}`)
	f(`{field: u}`, `{"v":"x"}`, `error: is missing`)
	f(`{field: u, ignore_missing: true}`, `{"u":"-"}`, `{"u":"-"}`)
	long := strings.Repeat("x", 100_000)
	f(`{field: u, target_field: c}`, `{"u":"`+long+`"}`, `{"u":"`+long+`","c":{"original":"`+long+`","name":"Other","device":{"name":"Other"}}}`)
	processortest.Refused(t, New)("target_field: tally\n", "cannot be set")
}

func BenchmarkKnown(b *testing.B) {
	processortest.Bench(b, processortest.Make(b, New, `field: message`), `{"message":"`+firefox+`"}`)
}

func BenchmarkNew(b *testing.B) {
	p := processortest.Make(b, New, `field: message`)
	for i := 0; b.Loop(); i++ {
		e := processortest.Event(b, fmt.Sprintf(`{"message":"%s %d"}`, firefox, i))
		if _, err := p.Process(&e); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzProcess(f *testing.F) {
	processortest.Fuzz(f, New, `field: message`, firefox, "curl/8.5.0", "-", "Mozilla/5.0 (", "")
}
