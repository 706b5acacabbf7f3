package libbeat5

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tallylog/tally/beat/dialects/dialect"
)

// removed are the options of outputs that are gone, by kind ("" is any), with what is done about each.
var removed = map[string]map[string]func(t *translation, kind string, o map[string]any, v any) error{
	"": {
		"flush_interval": noEffect("flush_interval", "the queue's queue.mem.flush.timeout decides when a batch goes"),
		"tls":            tls,
	},
	"elasticsearch": {
		"host":               host("http://"),
		"port":               needsHost,
		"save_topology":      noEffect("save_topology", "topology was a matter of Packetbeat"),
		"topology_expire":    noEffect("topology_expire", "topology was a matter of Packetbeat"),
		"template.enabled":   setup("template.enabled", "setup.template.enabled"),
		"template.name":      templateName,
		"template.overwrite": setup("template.overwrite", "setup.template.overwrite"),
		"template.path":      templatePath,
		"template.versions":  noEffect("template.versions", "templates are made for the version of Elasticsearch that is found"),
	},
	"logstash": {
		"host": host(""),
		"port": port,
	},
	"redis": {
		"host":               host(""),
		"port":               port,
		"index":              redisKey,
		"host_topology":      noEffect("host_topology", "topology was a matter of Packetbeat"),
		"password_topology":  noEffect("password_topology", "topology was a matter of Packetbeat"),
		"db_topology":        noEffect("db_topology", "topology was a matter of Packetbeat"),
		"reconnect_interval": noEffect("reconnect_interval", "backoff.init and backoff.max decide when a connection is tried again"),
		"save_topology":      noEffect("save_topology", "topology was a matter of Packetbeat"),
	},
	"file": {
		"index": fileName,
	},
	"kafka": {
		"host":     host(""),
		"use_type": refuseOption("use_type was removed in 5.0: write topic: '%{[type]}'"),
	},
}

// removedOf lists the options of an output that are gone, in the order in which they are translated.
func removedOf(kind string, o map[string]any) (found []string) {
	for _, table := range []string{"", kind} {
		for _, key := range slices.Sorted(maps.Keys(removed[table])) {
			if _, ok := dialect.Get(o, key); ok {
				found = append(found, key)
			}
		}
	}
	return found
}

func (t *translation) output(kind string, o map[string]any, key string) error {
	f := removed[""][key]
	if g := removed[kind][key]; g != nil {
		f = g
	}
	v, ok := dialect.Take(o, key)
	if !ok { // another option has used it
		return nil
	}
	return f(t, kind, o, v)
}

func noEffect(key, why string) func(t *translation, kind string, o map[string]any, v any) error {
	return func(t *translation, kind string, _ map[string]any, _ any) error {
		t.note("output."+kind+"."+key, "", "has no effect any more: "+why)
		return nil
	}
}

func refuseOption(text string) func(t *translation, kind string, o map[string]any, v any) error {
	return func(*translation, string, map[string]any, any) error { return errors.New(text) }
}

// host makes hosts of the host and port of 1.0.
func host(scheme string) func(t *translation, kind string, o map[string]any, v any) error {
	return func(t *translation, kind string, o map[string]any, v any) error {
		if _, ok := o["hosts"]; ok {
			return errors.New("hosts replaces host and is set as well: write hosts alone")
		}
		h := dialect.Text(v)
		if p, ok := dialect.Take(o, "port"); ok {
			h += ":" + dialect.Text(p)
			if scheme != "" && !strings.Contains(h, "://") {
				proto, ok := o["protocol"]
				if !ok {
					proto = strings.TrimSuffix(scheme, "://")
				}
				h = dialect.Text(proto) + "://" + h
			}
			t.note("output."+kind+".port", "output."+kind+".hosts", "is part of hosts now")
		}
		o["hosts"] = []any{h}
		t.note("output."+kind+".host", "output."+kind+".hosts", "is hosts now: "+h)
		return nil
	}
}

func needsHost(t *translation, kind string, o map[string]any, v any) error {
	return fmt.Errorf("port was removed in 5.0: write it into hosts, as host:%v", v)
}

// port is given to the hosts that have none.
func port(t *translation, kind string, o map[string]any, v any) error {
	hosts := dialect.List(o["hosts"])
	var with []any
	for _, h := range hosts {
		s := dialect.Text(h)
		if bare := s[strings.LastIndex(s, "]")+1:]; !strings.Contains(bare, ":") && !strings.Contains(s, "${") {
			s += ":" + dialect.Text(v)
		} else if strings.Contains(s, "${") {
			return fmt.Errorf("port was removed in 7.0: write it into hosts, as %s:%v", s, v)
		}
		with = append(with, s)
	}
	o["hosts"] = with
	t.note("output."+kind+".port", "output."+kind+".hosts", "is part of hosts now")
	return nil
}

func redisKey(t *translation, kind string, o map[string]any, v any) error {
	if _, ok := o["key"]; ok {
		return errors.New("key replaces index and is set as well: write key alone")
	}
	o["key"] = v
	t.note("output.redis.index", "output.redis.key", "is key now")
	return nil
}

func fileName(t *translation, kind string, o map[string]any, v any) error {
	if _, ok := o["filename"]; ok {
		return errors.New("filename replaces index and is set as well: write filename alone")
	}
	o["filename"] = v
	t.note("output.file.index", "output.file.filename", "is filename now")
	return nil
}

func setup(key, to string) func(t *translation, kind string, o map[string]any, v any) error {
	return func(t *translation, kind string, _ map[string]any, v any) error {
		if _, ok := dialect.Get(t.c, to); ok {
			return fmt.Errorf("%s replaces %s and is set as well: write %s alone", to, key, to)
		}
		dialect.Put(t.c, to, v)
		t.note("output."+kind+"."+key, to, "is "+to+" now")
		return nil
	}
}

func templateName(t *translation, kind string, o map[string]any, v any) error {
	if err := setup("template.name", "setup.template.name")(t, kind, o, v); err != nil {
		return err
	}
	if _, ok := dialect.Get(t.c, "setup.template.pattern"); !ok {
		dialect.Put(t.c, "setup.template.pattern", dialect.Text(v)+"-*")
	}
	return nil
}

// templatePath: up to 5 the file was the template itself, as JSON; now it is made of a description of fields.
func templatePath(t *translation, kind string, _ map[string]any, v any) error {
	dialect.Put(t.c, "setup.template.json.enabled", true)
	dialect.Put(t.c, "setup.template.json.path", v)
	name, ok := dialect.Get(t.c, "setup.template.name")
	if !ok {
		name = strings.TrimSuffix(dialect.Text(v)[strings.LastIndex(dialect.Text(v), "/")+1:], ".template.json")
	}
	dialect.Put(t.c, "setup.template.json.name", name)
	t.note("output."+kind+".template.path", "setup.template.json.path", "is setup.template.json.path now; its mappings must be of the version of Elasticsearch that receives it")
	return nil
}

// tlsKeys are the options of tls in 1.x, with the names they have below ssl.
var tlsKeys = map[string]string{"certificate_key": "key"}

// tls is ssl since 5.0.
func tls(t *translation, kind string, o map[string]any, v any) error {
	old, ok := v.(map[string]any)
	if !ok {
		return errors.New("ssl replaces tls, and holds options")
	}
	if _, ok := o["ssl"]; ok {
		return errors.New("ssl replaces tls and is set as well: write ssl alone")
	}
	ssl := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(old)) {
		switch key {
		case "insecure":
			if dialect.Text(old[key]) == "true" {
				ssl["verification_mode"] = "none"
			}
		case "disabled":
			ssl["enabled"] = dialect.Text(old[key]) != "true"
		case "min_version", "max_version":
			versions, err := versions(dialect.Text(old["min_version"]), dialect.Text(old["max_version"]))
			if err != nil {
				return err
			}
			ssl["supported_protocols"] = versions
		default:
			to := key
			if s, ok := tlsKeys[key]; ok {
				to = s
			}
			ssl[to] = old[key]
		}
	}
	o["ssl"] = ssl
	t.note("output."+kind+".tls", "output."+kind+".ssl", "is ssl now, with key for certificate_key, verification_mode for insecure, and supported_protocols for min_version and max_version")
	return nil
}

// versions lists the protocols from one to another, of those that there are still.
func versions(from, to string) ([]any, error) {
	all := []string{"SSL-3.0", "1.0", "1.1", "1.2"}
	first, last := 0, len(all)-1
	if from != "" {
		first = slices.Index(all, from)
	}
	if to != "" {
		last = slices.Index(all, to)
	}
	if first < 0 || last < 0 || last < max(first, 1) {
		return nil, fmt.Errorf("min_version %q to max_version %q names no protocol that can be used: supported_protocols replaces both, with TLSv1.0 to TLSv1.3", from, to)
	}
	var list []any
	for _, v := range all[max(first, 1) : last+1] {
		list = append(list, "TLSv"+v)
	}
	if last == len(all)-1 {
		list = append(list, "TLSv1.3")
	}
	return list, nil
}
