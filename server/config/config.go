package config

import (
	"fmt"
	"os"
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

// Place says where in a configuration file the key stands that an error is about.
func Place(file, key string, err error) error {
	if root, rerr := strictyaml.ReadFile(file); rerr == nil && !root.IsZero() {
		return root.At(key).Errorf("%v", err)
	}
	return fmt.Errorf("%s: %w", key, err)
}
