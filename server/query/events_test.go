package query

import (
	"fmt"
	"strings"

	"github.com/tallylog/tally/event"
)

// awkward is the fixed set of events of TestTable. Each line is an id, the block of the store that it goes to, and its
// fields: name=value, separated by two spaces, \n for a line end. Blocks num, neg, frac, ip, time and odd have enough
// different values that the store keeps their column v in binary, or would like to.
const awkward = `
e01 text  message=connection refused by 10.0.0.1:5432  level=error  status=500
e02 text  message=Connection Refused  level=ERROR  status=404
e03 text  message=GET /api/v1/users?id=7 status=404  level=info  status=200  kubernetes.labels.app/name=web
e04 text  message=status 404 returned  level=info  status=404.0
e05 text  message=xstatus=404x and status=4040  level=info  status=-1
e06 text  message=用户登录失败  level=warn  status=ok
e07 text  message=错误abc  level=warn
e08 text  message=用户abc登录失败 status=404  level=warn  status=0404
e09 text  message=abcdef abc_def abc-def  level=debug  status=1e3
e10 text  message=サーバー起動 abc起動  level=debug  status=5s
e11 text  message=한글abc한글  level=debug  status=1KB
e12 text  message=a|b {c} # d "e" 'f' \backslash  level=info
e13 text  message=first line\nsecond line error\nthird  level=error
e14 text  message=  level=info
e15 text  level=info  only=here
e16 text  message=  only=
e17 text  message=errors happen: errored, error_code, error-rate  level=info
e18 text  message=ERROR: İstanbul STRASSE straße  level=Error
e19 text  message=ſtatus 404 \u212Aelvin  level=info
e20 text  message=user@host.example.com -v --verbose -5 +5  level=info
e21 text  message=naïve café ünïcode  level=info
e22 text  message=* and not or AND  level=info
e23 text  message=broken�bytes abc�def  level=info
e24 text  message=🙂abc🙂  level=info
e25 text  message=x  _msg=hidden  _time=noon  _stream={app="x"}  _stream_id=1  _b=17  __x=two
e26 text  message=x  kubernetes.namespace=team-a
e27 text  message=x  kubernetes.namespace=team-b
e28 text  message=x  kubernetes.namespace=xteam-a
e29 num   v=0
e30 num   v=5
e31 num   v=9
e32 num   v=10
e33 num   v=55
e34 num   v=99
e35 num   v=100
e36 num   v=255
e37 num   v=404
e38 num   v=9007199254740993
e39 neg   v=-5
e40 neg   v=-10
e41 neg   v=-1
e42 neg   v=0
e43 neg   v=1
e44 neg   v=2
e45 neg   v=3
e46 neg   v=5
e47 neg   v=40
e48 frac  v=0.5
e49 frac  v=1.25
e50 frac  v=-1.25
e51 frac  v=5.125
e52 frac  v=10.5
e53 frac  v=55.75
e54 frac  v=404.5
e55 frac  v=2.5
e56 frac  v=5
e57 ip    v=10.0.0.1
e58 ip    v=10.0.0.2
e59 ip    v=110.0.0.1
e60 ip    v=192.168.0.1
e61 ip    v=1.2.3.4
e62 ip    v=4.1.2.3
e63 ip    v=5.5.5.5
e64 ip    v=8.8.8.8
e65 ip    v=9.9.9.9
e66 time  v=2024-01-01T00:00:00.000Z
e67 time  v=2024-01-01T00:00:00.001Z
e68 time  v=2024-01-02T00:00:00.000Z
e69 time  v=2024-02-01T00:00:00.000Z
e70 time  v=2024-03-01T10:20:30.000Z
e71 time  v=2024-03-01T10:20:31.000Z
e72 time  v=2024-03-01T10:20:32.500Z
e73 time  v=2024-03-01T10:20:33.000Z
e74 time  v=2025-03-01T10:20:33.000Z
e75 odd   v=0.57
e76 odd   v=1.0
e77 odd   v=3.50
e78 odd   v=007.5
e79 odd   v=1_000
e80 odd   v=-0
e81 odd   v=010.0.0.1
e82 odd   v=2024-01-01 00:00:00.000Z
e83 odd   v=0x10
e84 odd   v=1x.2.3.4
`

// awkwardEvents reads the table. The times are one second apart, from 12:00:00.
func awkwardEvents() []event.Event {
	var events []event.Event
	for line := range strings.Lines(strings.TrimSpace(awkward)) {
		id, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		block, rest, _ := strings.Cut(rest, " ")
		ev := event.Event{ID: id, Time: base + int64(len(events))*1e9}
		ev.Put("block", block)
		for _, pair := range strings.Split(strings.TrimLeft(rest, " "), "  ") {
			name, value, ok := strings.Cut(pair, "=")
			if !ok {
				panic(fmt.Sprintf("no field: %q", pair))
			}
			value = strings.ReplaceAll(value, `\n`, "\n")
			ev.Put(name, strings.ReplaceAll(value, `\u212A`, "\u212A"))
		}
		events = append(events, ev)
	}
	return events
}
