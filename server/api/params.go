package api

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/answer"
	"github.com/tallylog/tally/server/auth"
	"github.com/tallylog/tally/server/config"
	"github.com/tallylog/tally/server/query"
	"github.com/tallylog/tally/server/storage"
)

// maxForm bounds the body of a POST that carries parameters.
const maxForm = 1 << 20

// params are the parameters of a request, from the URL, a form, or a JSON object of strings, numbers and lists.
type params struct {
	url.Values
	now time.Time
}

func readParams(w http.ResponseWriter, r *http.Request) (params, error) {
	p := params{r.URL.Query(), time.Now()}
	if r.Method != http.MethodPost {
		return p, nil
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	// A body that begins as a JSON object is one, whatever its Content-Type says: curl calls every body a form, and a body without a
	// type would otherwise be ignored, and everything be found.
	body := bufio.NewReader(r.Body)
	first, _ := body.Peek(1)
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "application/json" || len(first) == 1 && first[0] == '{' {
		var m map[string]any
		d := json.NewDecoder(body)
		d.UseNumber()
		if err := d.Decode(&m); err != nil {
			return p, bad("body", "the body is no JSON object: %v", err)
		}
		for k, v := range m {
			switch v := v.(type) {
			case string:
				p.Set(k, v)
			case json.Number:
				p.Set(k, v.String())
			case bool:
				p.Set(k, strconv.FormatBool(v))
			case []any:
				parts := make([]string, len(v))
				for i, x := range v {
					parts[i] = fmt.Sprint(x)
				}
				p.Set(k, strings.Join(parts, ","))
			default:
				return p, bad("body", "parameter %.60q is neither text, number nor list", k)
			}
		}
		return p, nil
	}
	switch {
	case len(first) == 0:
		return p, nil
	case kind != "" && kind != "application/x-www-form-urlencoded":
		return p, answer.Errorf(http.StatusUnsupportedMediaType, "body", "parameters in a body of the type %.60q are not understood: send a form or a JSON object", kind)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return p, bad("body", "cannot read the form: %v", err)
	}
	form, err := url.ParseQuery(string(text))
	if err != nil {
		return p, bad("body", "cannot read the form: %v", err)
	}
	for k, v := range form {
		p.Values[k] = v
	}
	return p, nil
}

func bad(code, format string, args ...any) error {
	return answer.Errorf(http.StatusBadRequest, code, format, args...)
}

// known refuses parameters that the handler does not read: a misspelt one would give a wrong answer in silence. So would one that
// stands twice, but for lists, which are joined.
func (p params) known(names ...string) error {
next:
	for k, v := range p.Values {
		switch {
		case len(v) < 2:
		case k == "fields" || k == "by":
			p.Set(k, strings.Join(v, ","))
		default:
			return bad("parameter", "the parameter %.60q stands twice", k)
		}
		for _, n := range names {
			if k == n {
				continue next
			}
		}
		return bad("parameter", "unknown parameter %.60q; known here are %s", k, strings.Join(names, ", "))
	}
	return nil
}

// search reads query, start and end, narrowed to what the principal may see.
func (p params) search(r *http.Request) (storage.Search, error) {
	who, ok := auth.FromContext(r.Context())
	if !ok {
		return storage.Search{}, answer.Errorf(http.StatusUnauthorized, "unauthorized", "credentials are missing")
	}
	expr, err := query.Parse(p.Get("query"))
	if err != nil {
		return storage.Search{}, bad("query", "%v", err)
	}
	s := storage.Search{Tenant: who.TenantID, Expr: narrow(who, expr)}
	if s.Start, err = p.time("start"); err != nil {
		return s, err
	}
	if s.End, err = p.time("end"); err != nil {
		return s, err
	}
	if s.Start != 0 && s.End != 0 && s.Start > s.End {
		return s, bad("time", "start lies behind end")
	}
	return s, nil
}

// narrow keeps a principal within its namespaces and clusters, whatever it asked for.
func narrow(who auth.Principal, e query.Expr) query.Expr {
	if !who.Scoped() {
		return e
	}
	return query.And{Terms: []query.Expr{scope(who), e}}
}

// scope is what a scoped principal is narrowed to.
func scope(who auth.Principal) query.Expr {
	switch {
	case len(who.Clusters) == 0:
		return query.NamespaceScope(who.Namespaces)
	case len(who.Namespaces) == 0:
		return query.FieldScope(query.ClusterField, who.Clusters)
	}
	return query.And{Terms: []query.Expr{query.NamespaceScope(who.Namespaces), query.FieldScope(query.ClusterField, who.Clusters)}}
}

// time reads RFC 3339, milliseconds since 1970, "now", or a distance from now like -1h. 0 means that it is missing.
func (p params) time(name string) (int64, error) {
	s := p.Get(name)
	if s == "" {
		return 0, nil
	}
	if s == "now" {
		return p.now.UnixNano(), nil
	}
	if ns, ok := event.ParseTime(s); ok {
		return ns, nil
	}
	if len(s) > 1 && (s[0] == '-' || s[0] == '+') {
		if d, err := config.ParseDuration(s[1:]); err == nil {
			if s[0] == '-' {
				d = -d
			}
			return p.now.Add(d).UnixNano(), nil
		}
	}
	return 0, bad("time", "%s %.60q is no time: write RFC 3339 (2026-01-02T15:04:05Z), milliseconds since 1970, or -1h", name, s)
}

// int reads a whole number of at least min.
func (p params) int(name string, missing, min int) (int, error) {
	s := p.Get(name)
	if s == "" {
		return missing, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < min {
		return 0, bad("parameter", "%s %.60q is no whole number of at least %d", name, s, min)
	}
	return n, nil
}

// duration reads a time span above 0.
func (p params) duration(name string) (time.Duration, error) {
	d, err := config.ParseDuration(p.Get(name))
	if err != nil || d <= 0 {
		return 0, bad("parameter", "%s %.60q is no time span like 1m or 1h", name, p.Get(name))
	}
	return d, nil
}

// list reads names separated by commas.
func (p params) list(name string) []string {
	var out []string
	for _, s := range strings.Split(p.Get(name), ",") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// fn reads a statistics function: count, uniq(f), max(f) …
func (p params) fn() (storage.Func, error) {
	s := strings.TrimSpace(p.Get("fn"))
	if s == "" || s == "count" || s == "count()" {
		return storage.Func{Name: "count"}, nil
	}
	name, rest, ok := strings.Cut(s, "(")
	field, closed := strings.CutSuffix(rest, ")")
	if ok && closed && field != "" {
		switch name {
		case "uniq", "min", "max", "avg", "sum", "p50", "p90", "p95", "p99":
			return storage.Func{Name: name, Field: strings.Trim(field, `"`)}, nil
		}
	}
	return storage.Func{}, bad("parameter", "fn %.60q is not known; use count, or one of uniq, min, max, avg, sum, p50, p90, p95, p99 with a field, like max(duration)", s)
}

// searchError turns what a store returns into an answer.
func searchError(err error) error {
	gone := (*storage.Unavailable)(nil)
	switch {
	case errors.As(err, &gone):
		return &answer.Error{Status: http.StatusServiceUnavailable, Code: "unavailable", Message: gone.Reason, RetryAfter: 5}
	case errors.Is(err, storage.ErrCursor):
		return bad("cursor", "%v", err)
	case errors.Is(err, storage.ErrPartial):
		return answer.Errorf(http.StatusGatewayTimeout, "timeout", "the search took too long and was ended; narrow its time or its words")
	}
	return err
}
