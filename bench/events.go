package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// field is a dotted name and its value.
type field struct{ name, value string }

var levels = [...]string{"INFO", "INFO", "INFO", "INFO", "DEBUG", "DEBUG", "WARN", "ERROR"}

// rareEvery is how often the rare word comes.
const rareEvery = 200_000

// appendFields appends event i: one of 200 containers in 20 namespaces, with the fields that an agent on a Kubernetes node
// sends.
func appendFields(f []field, i int) []field {
	pod := i * 31 % 200
	level := levels[i*7%len(levels)]
	h := hash(uint64(i))
	message := fmt.Sprintf("%s [worker-%02d] request %012x for /api/v2/orders/%d took %d ms, status %d", level, i%64,
		h>>16, h%500_000, (h>>8)%900, 200+(h>>32)%5*50)
	switch {
	case i%rareEvery == rareEvery/2:
		message += ", upstream zebrafish gone"
	case i%50 == 0:
		message += ": connection refused by peer"
	}
	namespace := "team-" + strconv.Itoa(pod%20)
	return append(f,
		field{"message", message},
		field{"level", level},
		field{"host.name", "node-" + strconv.Itoa(pod%10)},
		field{"agent.type", "tallybeat"},
		field{"agent.version", "7.17.29"},
		field{"ecs.version", "1.12.0"},
		field{"input.type", "applog"},
		field{"trace.id", strconv.FormatUint(hash(h), 16)},
		field{"log.file.path", "/k8spods/pod-" + strconv.Itoa(pod) + "/volumes/kubernetes.io~empty-dir/applog-main/app.log"},
		field{"kubernetes.namespace", namespace},
		field{"kubernetes.pod.name", "shop-" + strconv.Itoa(pod)},
		field{"kubernetes.container.name", "main"},
		field{"kubernetes.node.name", "node-" + strconv.Itoa(pod%10)})
}

// load is what the server gets, and how it is configured for it.
type load struct {
	config string
	fields func(f []field, i int) []field // the message first
	check  string                         // a query that all events answer once the pipeline has done its work; may be empty
}

var plainLoad = load{fields: appendFields}

// nginxLoad are access logs, taken apart, given the time of the request, and freed of addresses of people.
var nginxLoad = load{
	config: `pipelines:
- name: access
  processors:
  - grok: {patterns: ["^%{HTTPD_COMBINEDLOG}"]}
  - timestamp: {field: timestamp, layouts: ["02/Jan/2006:15:04:05 -0700"]}
  - drop_fields: {fields: [timestamp]}
  - redact: {fields: [message, url.original], presets: [email, ipv4]}
`,
	fields: func(f []field, i int) []field {
		f = appendFields(f, i)
		h := hash(uint64(i))
		f[0].value = fmt.Sprintf(`10.%d.%d.%d - user%d [%s] 'GET /api/v2/orders/%d?contact=user%d@example.com HTTP/1.1' %d %d 'https://shop.example.com/orders' 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36'`,
			h>>8&255, h>>16&255, h>>24&255, h%1000, time.Now().UTC().Format("02/Jan/2006:15:04:05 -0700"), h%500_000, h%1000, 200+(h>>32)%5*50, h%90_000)
		f[0].value = strings.ReplaceAll(f[0].value, "'", `\"`)
		return f
	},
	check: `http.response.status_code:>=200 "contact=[REDACTED]" NOT tags:*`,
}

// hash makes of a number one that looks random (the finalizer of SplitMix64), so that the events do not compress better than
// those of real programs.
func hash(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// eventTime spreads n events over the hour before base.
func eventTime(base time.Time, i, n int) time.Time {
	return base.Add(-time.Hour + time.Duration(float64(time.Hour)*float64(i)/float64(n)))
}

// appendJSON appends event i as an agent ships it, with its position: 200 bytes of the file of its container. All values
// are plain ASCII, their quotes escaped already.
func appendJSON(b []byte, f []field, at time.Time, i int) []byte {
	b = append(b, `{"@timestamp":"`...)
	b = at.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	n := int64(i/200) * 200
	b = fmt.Appendf(b, `","@metadata":{"beat":"tallybeat","type":"_doc","version":"7.17.29","tally":{"source":"bench:%d","from":%d,"to":%d,"skipped":0,"sum":"%08x"}}`,
		i*31%200, n, n+200, uint32(i)*2246822519)
	for _, f := range f {
		b = append(append(append(append(append(b, `,"`...), f.name...), `":"`...), f.value...), '"')
	}
	return append(b, '}')
}
