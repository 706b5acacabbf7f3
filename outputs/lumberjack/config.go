package lumberjack

import (
	"strings"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/common/cfgwarn"
	"github.com/elastic/beats/v7/libbeat/common/transport"
	"github.com/elastic/beats/v7/libbeat/common/transport/tlscommon"
	"github.com/elastic/beats/v7/libbeat/outputs"
)

const defaultPort = 5044

// config has the options of libbeat's output.logstash, with its defaults; hosts and worker are read by outputs.ReadHostList.
type config struct {
	Index            string                `config:"index"`
	LoadBalance      bool                  `config:"loadbalance"`
	BulkMaxSize      int                   `config:"bulk_max_size"`
	SlowStart        bool                  `config:"slow_start"`
	Timeout          time.Duration         `config:"timeout"`
	TTL              time.Duration         `config:"ttl"               validate:"min=0"`
	Pipelining       int                   `config:"pipelining"        validate:"min=0"`
	CompressionLevel int                   `config:"compression_level" validate:"min=0, max=9"`
	MaxRetries       int                   `config:"max_retries"       validate:"min=-1"`
	TLS              *tlscommon.Config     `config:"ssl"`
	Proxy            transport.ProxyConfig `config:",inline"`
	Backoff          backoff               `config:"backoff"`
	EscapeHTML       bool                  `config:"escape_html"`
}

type backoff struct {
	Init time.Duration
	Max  time.Duration
}

func defaultConfig() config {
	return config{
		Pipelining: 2, BulkMaxSize: 2048, CompressionLevel: 3, Timeout: 30 * time.Second, MaxRetries: 3,
		Backoff: backoff{Init: time.Second, Max: time.Minute},
	}
}

var _ outputs.Factory = New

// New makes the clients of one output.logstash: one for each worker of each host.
func New(_ outputs.IndexManager, info beat.Info, observer outputs.Observer, cfg *common.Config) (outputs.Group, error) {
	if err := cfgwarn.CheckRemoved6xSettings(cfg, "port"); err != nil {
		return outputs.Fail(err)
	}
	c := defaultConfig()
	if err := cfg.Unpack(&c); err != nil {
		return outputs.Fail(err)
	}
	if c.Index == "" {
		c.Index = info.IndexPrefix
	}
	c.Index = strings.ToLower(c.Index)
	hosts, err := outputs.ReadHostList(cfg)
	if err != nil {
		return outputs.Fail(err)
	}
	tls, err := tlscommon.LoadTLSConfig(c.TLS)
	if err != nil {
		return outputs.Fail(err)
	}
	dial := transport.Config{Timeout: c.Timeout, Proxy: &c.Proxy, TLS: tls, Stats: observer}
	dialer, err := transport.MakeDialer(dial)
	if err != nil {
		return outputs.Fail(err)
	}
	clients := make([]outputs.NetworkClient, len(hosts))
	for i, host := range hosts {
		target, err := transport.NewClientWithDialer(dialer, dial, "tcp", host, defaultPort)
		if err != nil {
			return outputs.Fail(err)
		}
		cl, err := newClient(target, dialer, info, observer, &c)
		if err != nil {
			return outputs.Fail(err)
		}
		clients[i] = outputs.WithBackoff(cl, c.Backoff.Init, c.Backoff.Max)
	}
	return outputs.SuccessNet(c.LoadBalance, c.BulkMaxSize, c.MaxRetries, clients)
}
