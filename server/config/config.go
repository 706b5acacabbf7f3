package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/tallylog/tally/server/retention"
	"github.com/tallylog/tally/server/storage/elasticsearch/indices"
	"github.com/tallylog/tally/strictyaml"
)

// Config is the whole file. See README.md for what each key means to an operator.
type Config struct {
	HTTP       HTTP       `yaml:"http"`
	Lumberjack Lumberjack `yaml:"lumberjack"`
	Auth       Auth       `yaml:"auth"`
	Limits     Limits     `yaml:"limits"`
	// Pipelines clean events between intake and admission; server/clean reads them.
	Pipelines strictyaml.Node `yaml:"pipelines"`
	// Plugins are programs that pipelines may use by name; plugins/host reads them.
	Plugins   strictyaml.Node `yaml:"plugins"`
	Buffer    Buffer          `yaml:"buffer"`
	Storage   Storage         `yaml:"storage"`
	Retention Retention       `yaml:"retention"`
	Log       Log             `yaml:"log"`
}

// HTTP is the listener of API and page.
type HTTP struct {
	Address string `yaml:"address"`
	TLS     TLS    `yaml:"tls"`
	// MaxBody bounds a push request as sent, MaxInflated after decompression.
	MaxBody     Bytes `yaml:"max_body"`
	MaxInflated Bytes `yaml:"max_inflated"`
	// QueryTimeout ends a query.
	QueryTimeout Duration `yaml:"query_timeout"`
	// PublicURL is where agents of other machines reach the server; empty for the address by which the page was reached.
	PublicURL string `yaml:"public_url"`
	// PublicCA, a PEM file, is what they must trust for that, where their system does not; empty for the server's own certificate
	// if that is its own authority.
	PublicCA string `yaml:"public_ca"`
	// AgentImage is the container image that install manifests name.
	AgentImage string `yaml:"agent_image"`
}

// Lumberjack is the listener for Beats. An empty address switches it off.
type Lumberjack struct {
	Address        string `yaml:"address"`
	TLS            TLS    `yaml:"tls"`
	MaxConnections int    `yaml:"max_connections"`
}

// TLS of a listener; off while Certificate is empty. ClientAuthorities, a PEM file, makes client certificates signed by them
// compulsory.
type TLS struct {
	Certificate       string `yaml:"certificate"`
	Key               string `yaml:"key"`
	ClientAuthorities string `yaml:"client_authorities"`
}

// Auth says who need not show credentials, and whom client certificates stand for.
type Auth struct {
	// Networks, in CIDR notation, may use the Lumberjack port without a client certificate. Loopback always may.
	Networks []Network `yaml:"networks"`
	// Certificates give the clients of the Lumberjack port to tenants; the first that matches counts, and without a match a
	// client is refused. While the list is empty all belong to the tenant "default".
	Certificates []Certificate `yaml:"certificates"`
}

// Certificate gives the clients whose certificate's common name matches the pattern Name, in which "*" stands for any run of
// characters, to a tenant.
type Certificate struct {
	Name   string `yaml:"name,required"`
	Tenant string `yaml:"tenant,required"`
}

// Limits of what tenants may send. Tenants replace Default as a whole.
type Limits struct {
	Default Rates            `yaml:"default"`
	Tenants map[string]Rates `yaml:"tenants"`
}

// Rates of a tenant; 0 means no bound. Bytes are those of names and values; a day is one of UTC.
type Rates struct {
	EventsPerSecond int64 `yaml:"events_per_second"`
	BytesPerSecond  Bytes `yaml:"bytes_per_second"`
	BytesPerDay     Bytes `yaml:"bytes_per_day"`
}

// Buffer is the write-ahead log.
type Buffer struct {
	// MaxBytes bounds it on disk; when it is reached clients wait.
	MaxBytes Bytes `yaml:"max_size"`
	// Checkpoint is the time between checkpoints.
	Checkpoint Duration `yaml:"checkpoint"`
	// Memory bounds the batches that are read and admitted at once.
	Memory Bytes `yaml:"memory"`
}

// Storage chooses where events are kept.
type Storage struct {
	Type string `yaml:"type"`
	// MinFree is the disk space left alone; clients wait when less is free. 0 means 256 MiB, or a tenth of a smaller disk.
	MinFree Bytes `yaml:"min_free"`
	// DeadLetters bounds the rejected events kept of each tenant; beyond, the oldest go. 0 means 256 MiB.
	DeadLetters Bytes `yaml:"dead_letters"`
	// Elasticsearch is used when Type is elasticsearch.
	Elasticsearch Elasticsearch `yaml:"elasticsearch"`
	// Cluster makes this server one of several before the same Elasticsearch.
	Cluster Cluster `yaml:"cluster"`
}

// Cluster is what several servers need; off while Address is empty.
type Cluster struct {
	// Address is the URL at which the other servers reach the HTTP listener of this one.
	Address string `yaml:"address"`
	// Name is how this server is called in lists; empty for the host name.
	Name string `yaml:"name"`
	// Lease is how long a server may be silent before the others take over what it admits.
	Lease Duration `yaml:"lease"`
	// Authorities, a PEM file, are whom to trust for https addresses of the others; empty for the system's.
	Authorities string `yaml:"authorities"`
}

// Elasticsearch is a cluster that keeps the events.
type Elasticsearch struct {
	Addresses []string `yaml:"addresses"`
	// Index is the template of index names; see storage/elasticsearch.
	Index    string `yaml:"index"`
	Username string `yaml:"username"`
	Password string `yaml:"password"`
	APIKey   string `yaml:"api_key"`
	// Authorities, Certificate and Key are PEM files: whom to trust, and who we are.
	Authorities string `yaml:"authorities"`
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
	Shards      int    `yaml:"shards"`
	Replicas    int    `yaml:"replicas"`
	Requests    int    `yaml:"requests"`
}

// Retention of stored events: the oldest days are deleted. An age of 0 means no bound, a size of 0 three quarters of the
// file system.
type Retention struct {
	Age  Duration `yaml:"age"`
	Size Bytes    `yaml:"size"`
	// Rules give the events that they choose a retention of their own; the first that matches counts.
	Rules []RetentionRule `yaml:"rules"`
	// Ledger is how long the account of a source is kept that gives nothing new; longer than every age. 0 means 400 days, or the
	// longest age and 30 days more where that is longer.
	Ledger Duration `yaml:"ledger"`
}

// RetentionRule is a class of retention. Tenant, Namespace and Stream are patterns in which "*" stands for any run of characters.
type RetentionRule struct {
	Name      string   `yaml:"name,required"`
	Tenant    string   `yaml:"tenant"`
	Namespace string   `yaml:"namespace"`
	Stream    string   `yaml:"stream"`
	Age       Duration `yaml:"age"`
	Size      Bytes    `yaml:"size"`
}

// Classes are the rules as package retention has them.
func (r *Retention) Classes() retention.Rules {
	var all retention.Rules
	for _, x := range r.Rules {
		limit := retention.Limit{Age: time.Duration(x.Age), Size: int64(x.Size)}
		all = append(all, retention.Rule{Name: x.Name, Tenant: x.Tenant, Namespace: x.Namespace, Stream: x.Stream, Limit: limit})
	}
	return all
}

// longest is the greatest age of all classes.
func (r *Retention) longest() Duration {
	age := r.Age
	for _, x := range r.Rules {
		age = max(age, x.Age)
	}
	return age
}

const day = Duration(24 * time.Hour)

// LedgerAge is Ledger with its default.
func (r *Retention) LedgerAge() time.Duration {
	if r.Ledger == 0 {
		return time.Duration(max(400*day, r.longest()+30*day))
	}
	return time.Duration(r.Ledger)
}

// Log of the server itself, on standard error.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn, error
	Format string `yaml:"format"` // text, json
}

// Default is the configuration without a file.
func Default() Config {
	return Config{
		HTTP:       HTTP{Address: "127.0.0.1:5080", MaxBody: 64 << 20, MaxInflated: 512 << 20, QueryTimeout: Duration(time.Minute), AgentImage: "tallylog/tallybeat:latest"},
		Lumberjack: Lumberjack{Address: "127.0.0.1:5044", MaxConnections: 20_000},
		Buffer:     Buffer{MaxBytes: 10 << 30, Checkpoint: Duration(30 * time.Second), Memory: 128 << 20},
		Storage:    Storage{Type: "embedded", Elasticsearch: Elasticsearch{Index: indices.Default, Shards: 1, Replicas: 1, Requests: 2}, Cluster: Cluster{Lease: Duration(10 * time.Second)}},
		Log:        Log{Level: "info", Format: "text"},
	}
}

// Load reads a file over the defaults.
func Load(file string) (Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return Config{}, fmt.Errorf("cannot read configuration: %w", err)
	}
	return Parse(file, text, os.LookupEnv)
}

// Parse is Load of text; file is for messages.
func Parse(file string, text []byte, env func(string) (string, bool)) (Config, error) {
	c := Default()
	root, err := strictyaml.Parse(file, text, env)
	if err != nil || root.IsZero() {
		return c, err
	}
	if err := root.Decode(&c); err != nil {
		return c, err
	}
	if key, err := c.check(); err != nil {
		return c, root.At(key).Errorf("%v", err)
	}
	return c, nil
}

// Check tells what is impossible in c, for values that came from flags.
func (c *Config) Check() error {
	if key, err := c.check(); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// check returns the key and what is wrong with it.
func (c *Config) check() (string, error) {
	for key, addr := range map[string]string{"http.address": c.HTTP.Address, "lumberjack.address": c.Lumberjack.Address} {
		if addr == "" && key == "lumberjack.address" {
			continue
		}
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return key, fmt.Errorf("%q is no address like 127.0.0.1:5080", addr)
		}
	}
	if u, err := url.Parse(c.HTTP.PublicURL); c.HTTP.PublicURL != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.User != nil || u.Fragment != "") {
		return "http.public_url", fmt.Errorf("%q is no URL like https://tally.example", c.HTTP.PublicURL)
	}
	if c.HTTP.AgentImage == "" {
		return "http.agent_image", fmt.Errorf("it is empty")
	}
	for key, t := range map[string]TLS{"http.tls": c.HTTP.TLS, "lumberjack.tls": c.Lumberjack.TLS} {
		if (t.Certificate == "") != (t.Key == "") {
			return key, fmt.Errorf("certificate and key go together")
		}
		if t.ClientAuthorities != "" && t.Certificate == "" {
			return key, fmt.Errorf("client_authorities needs certificate and key")
		}
	}
	// Lumberjack has no passwords: beyond loopback a client certificate, or a named network, is the only protection.
	if c.Lumberjack.Address != "" && !loopback(c.Lumberjack.Address) && c.Lumberjack.TLS.ClientAuthorities == "" && len(c.Auth.Networks) == 0 {
		return "lumberjack.address", fmt.Errorf("%q is open beyond this machine without authentication: set lumberjack.tls.client_authorities, or name the networks allowed in auth.networks", c.Lumberjack.Address)
	}
	if len(c.Auth.Certificates) > 0 && c.Lumberjack.TLS.ClientAuthorities == "" {
		return "auth.certificates", fmt.Errorf("clients are not asked for a certificate: set lumberjack.tls.client_authorities")
	}
	for name, r := range c.Limits.Tenants {
		if r.bad() {
			return "limits.tenants." + name, fmt.Errorf("the value is too small")
		}
	}
	if c.Limits.Default.bad() {
		return "limits.default", fmt.Errorf("the value is too small")
	}
	if key, err := c.checkStorage(); err != nil {
		return key, err
	}
	if i, err := c.Retention.Classes().Check(); err != nil {
		return fmt.Sprintf("retention.rules[%d]", i), err
	}
	if r := &c.Retention; r.Ledger != 0 && r.Ledger <= r.longest() {
		return "retention.ledger", fmt.Errorf("the account must be kept longer than the lines (retention.age), or lines sent again would be stored again")
	}
	if l := c.Log.Level; l != "debug" && l != "info" && l != "warn" && l != "error" {
		return "log.level", fmt.Errorf("%q is none of debug, info, warn, error", l)
	}
	if f := c.Log.Format; f != "text" && f != "json" {
		return "log.format", fmt.Errorf("%q is none of text, json", f)
	}
	for key, n := range map[string]int64{
		"http.max_body": int64(c.HTTP.MaxBody) - 1, "http.max_inflated": int64(c.HTTP.MaxInflated) - 1, "buffer.memory": int64(c.Buffer.Memory) - 1<<20,
		"http.query_timeout": int64(c.HTTP.QueryTimeout) - 1, "buffer.checkpoint": int64(c.Buffer.Checkpoint) - int64(time.Second),
		"lumberjack.max_connections": int64(c.Lumberjack.MaxConnections) - 1,
		"buffer.max_size":            int64(c.Buffer.MaxBytes), "retention.age": int64(c.Retention.Age), "retention.size": int64(c.Retention.Size), "storage.min_free": int64(c.Storage.MinFree), "storage.dead_letters": int64(c.Storage.DeadLetters),
	} {
		if n < 0 {
			return key, fmt.Errorf("the value is too small")
		}
	}
	return "", nil
}

func (c *Config) checkStorage() (string, error) {
	if t := c.Storage.Type; t != "embedded" && t != "elasticsearch" {
		return "storage.type", fmt.Errorf("%q is not known; embedded and elasticsearch are", t)
	}
	if key, err := c.checkCluster(); err != nil {
		return key, err
	}
	if c.Storage.Type == "embedded" {
		return "", nil
	}
	e, at := &c.Storage.Elasticsearch, "storage.elasticsearch."
	if len(e.Addresses) == 0 {
		return at + "addresses", fmt.Errorf("at least one address of Elasticsearch is needed")
	}
	for _, a := range e.Addresses {
		if u, err := url.Parse(a); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
			return at + "addresses", fmt.Errorf("%q is no address like https://node:9200", a)
		}
	}
	names, err := indices.Parse(e.Index)
	if err != nil {
		return at + "index", err
	}
	if r := &c.Retention; !names.Dated() && (r.longest() > 0 || r.Size > 0 || len(r.Rules) > 0) {
		return "retention", fmt.Errorf("indices are deleted as wholes, and in storage.elasticsearch.index, %q, no year says when one is old: add %%{+yyyy.MM.dd}", e.Index)
	}
	switch {
	case (e.Username == "") != (e.Password == ""):
		return at + "username", fmt.Errorf("username and password go together")
	case e.APIKey != "" && e.Username != "":
		return at + "api_key", fmt.Errorf("either an API key or a user can be given")
	case (e.Certificate == "") != (e.Key == ""):
		return at + "certificate", fmt.Errorf("certificate and key go together")
	case e.Shards < 1:
		return at + "shards", fmt.Errorf("the value is too small")
	case e.Replicas < 0:
		return at + "replicas", fmt.Errorf("the value is too small")
	case e.Requests < 1:
		return at + "requests", fmt.Errorf("the value is too small")
	}
	return "", nil
}

func (c *Config) checkCluster() (string, error) {
	x, at := &c.Storage.Cluster, "storage.cluster."
	if x.Lease < Duration(time.Second) {
		return at + "lease", fmt.Errorf("the value is too small")
	}
	if x.Address == "" {
		if x.Name != "" || x.Authorities != "" {
			return at + "address", fmt.Errorf("it is missing: the URL at which the other servers reach this one")
		}
		return "", nil
	}
	if u, err := url.Parse(x.Address); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return at + "address", fmt.Errorf("%q is no URL like http://tally-1:5080", x.Address)
	}
	if c.Storage.Type != "elasticsearch" {
		return "storage.type", fmt.Errorf("several servers share an Elasticsearch; with %q there can be one", c.Storage.Type)
	}
	return "", nil
}

func (r Rates) bad() bool { return r.EventsPerSecond < 0 || r.BytesPerSecond < 0 || r.BytesPerDay < 0 }

// InClear tells whether passwords and tokens travel beyond this machine without TLS.
func (h HTTP) InClear() bool { return h.TLS.Certificate == "" && !loopback(h.Address) }

func loopback(addr string) bool {
	host, _, _ := net.SplitHostPort(addr)
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// Network is an IP network in CIDR notation.
type Network struct{ netip.Prefix }

// UnmarshalText reads CIDR notation.
func (n *Network) UnmarshalText(b []byte) (err error) {
	if n.Prefix, err = netip.ParsePrefix(string(b)); err != nil {
		return fmt.Errorf("%q is no network like 10.0.0.0/8", b)
	}
	return nil
}

// Duration is a Go duration that also knows days: 30d, 12h30m, 500ms.
type Duration time.Duration

// UnmarshalText reads a duration.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := ParseDuration(string(b))
	if err != nil {
		return err
	}
	*d = Duration(v)
	return nil
}

// ParseDuration is time.ParseDuration with days (d) and weeks (w) as a whole number in front.
func ParseDuration(s string) (time.Duration, error) {
	bad := fmt.Errorf("%q is no duration like 30d, 12h, 90s", s)
	var total time.Duration
	rest := s
	for _, unit := range []struct {
		sign string
		d    time.Duration
	}{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}} {
		n, after, ok := strings.Cut(rest, unit.sign)
		if !ok {
			continue
		}
		var x int64
		if _, err := fmt.Sscanf(n+" ", "%d ", &x); err != nil || fmt.Sprint(x) != n || x > 36500 {
			return 0, bad
		}
		total, rest = total+time.Duration(x)*unit.d, after
	}
	if rest == "" && total > 0 {
		return total, nil
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 {
		return 0, bad
	}
	return total + d, nil
}

// Bytes is a number of bytes, written plainly or with a unit: 512MiB, 10GiB, 1GB.
type Bytes int64

// UnmarshalText reads a size.
func (n *Bytes) UnmarshalText(b []byte) error {
	s := strings.TrimSpace(string(b))
	unit := strings.TrimLeft(s, "0123456789.")
	factor, ok := map[string]float64{"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}[strings.ToUpper(strings.TrimSpace(unit))]
	var x float64
	if _, err := fmt.Sscanf(strings.TrimSuffix(s, unit), "%g", &x); err != nil || !ok || x*factor > 1<<62 {
		return fmt.Errorf("%q is no size like 512MiB or 10GB", s)
	}
	*n = Bytes(x * factor)
	return nil
}
