package bulk

import (
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/tallylog/tally/server/auth"
	"github.com/tallylog/tally/server/intake"
)

// facade answers what clients ask of Elasticsearch before they send events. Filebeat 7.17 asks for the version, the license, the
// features, a lifecycle policy, a template and an alias, and makes what it does not find; so everything is there already, and
// what is put is acknowledged and has no effect. Nothing that it says depends on what is stored.
func (h *Handler) facade(wrap intake.Wrap) http.Handler {
	read := wrap(auth.Enter, http.HandlerFunc(h.tell))
	write := wrap(auth.Push, http.HandlerFunc(h.acknowledge))
	return dress(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			read.ServeHTTP(w, r)
		default:
			write.ServeHTTP(w, r)
		}
	}))
}

// object is a JSON object of an answer.
type object = map[string]any

// license is a free one that never ends; Filebeat does not go on without one.
func license() object {
	return object{"status": "active", "uid": uid, "type": "basic", "mode": "basic", "issued_to": "tally", "issuer": "tally",
		"issue_date": "2020-01-01T00:00:00.000Z", "issue_date_in_millis": int64(1577836800000), "start_date_in_millis": -1, "max_nodes": 1000}
}

// uid stands for the license, the cluster and the build alike; clients only show it.
const uid = "7a11a000-0000-4000-8000-000000000000"

// tell answers GET and HEAD.
func (h *Handler) tell(w http.ResponseWriter, r *http.Request) {
	path, first, rest := split(r)
	kind, name, nested := strings.Cut(rest, "/")
	var v any
	switch {
	case path == "":
		v = info()
	case path == "_license":
		v = object{"license": license()}
	case path == "_xpack":
		off, on := object{"available": true, "enabled": false}, object{"available": true, "enabled": true}
		v = object{"license": license(), "features": object{"ilm": on, "security": on, "monitoring": off, "watcher": off, "ml": off}}
	case path == "_cluster/health", strings.HasPrefix(path, "_cluster/health/"):
		v = object{"cluster_name": "tally", "status": "green", "timed_out": false, "number_of_nodes": 1, "number_of_data_nodes": 1,
			"active_primary_shards": 1, "active_shards": 1, "relocating_shards": 0, "initializing_shards": 0, "unassigned_shards": 0}
	case first == "_template" && rest != "" && !nested:
		v = object{rest: object{"order": 1, "index_patterns": []string{rest + "-*"}, "settings": object{}, "mappings": object{}, "aliases": object{}}}
	case first == "_index_template" && rest != "" && !nested:
		v = object{"index_templates": []object{{"name": rest, "index_template": object{"index_patterns": []string{rest + "-*"}}}}}
	case first == "_component_template" && rest != "" && !nested:
		v = object{"component_templates": []object{{"name": rest, "component_template": object{"template": object{}}}}}
	case first == "_ilm" && kind == "policy" && name != "":
		v = object{name: object{"version": 1, "policy": object{"phases": object{}}}}
	case first == "_ingest" && kind == "pipeline" && name != "":
		v = object{name: object{"description": "not run: pipelines are Tally's own", "processors": []object{}}}
	case first == "_alias" && rest != "" && !nested:
		v = object{rest + "-000001": object{"aliases": object{rest: object{"is_write_index": true}}}}
	case first == "_cat" && rest != "":
		h.cat(w, r)
		return
	case !strings.HasPrefix(first, "_") && rest == "":
		v = object{first: object{"aliases": object{}, "mappings": object{}, "settings": object{}}}
	default:
		fail(w, r, noHandler(r))
		return
	}
	send(w, r, http.StatusOK, v)
}

// cat lists nothing, in either form of _cat.
func (h *Handler) cat(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("format") == "json" || strings.Contains(r.Header.Get("Accept"), "json") {
		send(w, r, http.StatusOK, []object{})
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
}

// acknowledge answers PUT of what has no effect here. The body is read so that the connection can be used again.
func (h *Handler) acknowledge(w http.ResponseWriter, r *http.Request) {
	_, first, rest := split(r)
	ok := false
	switch first {
	case "_template", "_index_template", "_component_template":
		ok = rest != ""
	case "_ilm":
		ok = strings.HasPrefix(rest, "policy/")
	case "_ingest":
		ok = strings.HasPrefix(rest, "pipeline/")
	default:
		ok = r.Method == http.MethodPut && first != "" && !strings.HasPrefix(first, "_") && rest == ""
	}
	if !ok || r.Method != http.MethodPut && r.Method != http.MethodPost {
		fail(w, r, noHandler(r))
		return
	}
	if _, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, h.Limits.Body)); err != nil {
		fail(w, r, refuse(http.StatusRequestEntityTooLarge, "illegal_argument_exception", "cannot read the body: %v", err))
		return
	}
	if first == "_ingest" {
		h.Log.Warn("a client has put an ingest pipeline; it is not run here", "path", r.URL.Path)
	}
	v := object{"acknowledged": true}
	if rest == "" {
		v["shards_acknowledged"], v["index"] = true, first
	}
	send(w, r, http.StatusOK, v)
}

// split takes the address apart at its first slash. A slash within a name is escaped, as in the date math of Elasticsearch.
func split(r *http.Request) (path, first, rest string) {
	path = strings.Trim(r.URL.EscapedPath(), "/")
	first, rest, _ = strings.Cut(path, "/")
	return path, unescape(first), unescape(rest)
}

// unescape is of paths that have been parsed, so it cannot fail.
func unescape(s string) string {
	s, _ = url.PathUnescape(s)
	return s
}

func noHandler(r *http.Request) error {
	return refuse(http.StatusBadRequest, "illegal_argument_exception", "no handler found for uri [%.200s] and method [%s]", r.URL.Path, r.Method)
}

// info is the answer to GET /.
func info() object {
	return object{"name": "tally", "cluster_name": "tally", "cluster_uuid": uid, "tagline": "You Know, for Search", "version": object{
		"number": Version, "build_flavor": "default", "build_type": "tar", "build_hash": strings.ReplaceAll(uid, "-", ""), "build_date": "2025-01-01T00:00:00.000Z",
		"build_snapshot": false, "lucene_version": "9.12.0", "minimum_wire_compatibility_version": "7.17.0", "minimum_index_compatibility_version": "7.0.0",
	}}
}
