package push

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/common/transport/httpcommon"
	"github.com/elastic/beats/v7/libbeat/logp"
	"github.com/elastic/beats/v7/libbeat/outputs"
)

// Name is the type of this output.
const Name = "tally"

const (
	defaultPort = 5080
	path        = "/api/v1/push"
)

// config are the options; hosts and worker are read by outputs.ReadHostList, ssl, timeout and proxy_* are in Transport.
type config struct {
	Token       string                           `config:"token"`
	Username    string                           `config:"username"`
	Password    string                           `config:"password"`
	Compression string                           `config:"compression"` // zstd, gzip, none
	LoadBalance bool                             `config:"loadbalance"`
	BulkMaxSize int                              `config:"bulk_max_size"`
	MaxRetries  int                              `config:"max_retries" validate:"min=-1"`
	Backoff     backoff                          `config:"backoff"`
	Transport   httpcommon.HTTPTransportSettings `config:",inline"`
}

type backoff struct {
	Init time.Duration `config:"init" validate:"nonzero,positive"`
	Max  time.Duration `config:"max"  validate:"nonzero,positive"`
}

// Validate refuses what contradicts itself.
func (c *config) Validate() error {
	switch c.Compression {
	case "zstd", "gzip", "none":
	default:
		return fmt.Errorf("compression %q is none of zstd, gzip and none", c.Compression)
	}
	if c.Token != "" && c.Username != "" {
		return fmt.Errorf("token and username exclude each other")
	}
	return nil
}

func defaultConfig() config {
	c := config{
		Compression: "zstd", LoadBalance: true, BulkMaxSize: 2048, MaxRetries: -1,
		Backoff: backoff{Init: time.Second, Max: time.Minute}, Transport: httpcommon.DefaultHTTPTransportSettings(),
	}
	return c
}

var _ outputs.Factory = New

// New makes the clients of one output.tally: one for each worker of each host.
func New(_ outputs.IndexManager, info beat.Info, observer outputs.Observer, cfg *common.Config) (outputs.Group, error) {
	c := defaultConfig()
	if err := cfg.Unpack(&c); err != nil {
		return outputs.Fail(err)
	}
	hosts, err := outputs.ReadHostList(cfg)
	if err != nil {
		return outputs.Fail(err)
	}
	clients := make([]outputs.NetworkClient, len(hosts))
	for i, host := range hosts {
		target, err := address(host, c.Transport.TLS.IsEnabled())
		if err != nil {
			return outputs.Fail(err)
		}
		web, err := c.Transport.Client(httpcommon.WithIOStats(observer))
		if err != nil {
			return outputs.Fail(err)
		}
		// A redirected POST becomes a GET, and its 200 would be no acknowledgement.
		web.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		cl := &client{url: target, web: web, cfg: &c, observer: observer, log: logp.NewLogger(Name)}
		if cl.body, err = newBody(info, c.Compression); err != nil {
			return outputs.Fail(err)
		}
		clients[i] = outputs.WithBackoff(cl, c.Backoff.Init, c.Backoff.Max)
	}
	return outputs.SuccessNet(c.LoadBalance, c.BulkMaxSize, c.MaxRetries, clients)
}

// address is the URL to push to: http, or https where ssl is configured, port 5080, unless the host says otherwise.
func address(host string, tls bool) (string, error) {
	scheme := "http"
	if tls {
		scheme = "https"
	}
	raw, err := common.MakeURL(scheme, "", host, defaultPort)
	if err != nil {
		return "", fmt.Errorf("cannot use host %q: %w", host, err)
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.User != nil {
		return "", fmt.Errorf("host %q is no http or https URL of scheme, host, port and path alone", host)
	}
	u.Path = strings.TrimRight(u.Path, "/") + path
	return u.String(), nil
}
