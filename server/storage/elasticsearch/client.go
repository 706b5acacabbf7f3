package elasticsearch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	elastic "github.com/elastic/go-elasticsearch/v8"
)

// client sends requests to a cluster.
type client struct{ es *elastic.BaseClient }

// requestTime is how long one request may take; searches have their own deadlines besides.
const requestTime = 5 * time.Minute

func newClient(o *Options) (*client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 16
	if o.TLS != nil {
		transport.TLSClientConfig = o.TLS
	}
	es, err := elastic.NewBaseClient(elastic.Config{
		Addresses: o.Addresses, Username: o.Username, Password: o.Password, APIKey: o.APIKey, Transport: transport,
		// One round over all nodes; what goes on failing is tried again by those who know what can wait. 503 is an answer that they
		// want to see.
		MaxRetries: max(1, len(o.Addresses)), RetryOnStatus: []int{502},
	})
	if err != nil {
		return nil, fmt.Errorf("cannot use the addresses of Elasticsearch: %w", err)
	}
	return &client{es}, nil
}

// failure is an answer of Elasticsearch that is an error, or an item of one.
type failure struct {
	Status int
	Type   string
	Reason string
}

func (f *failure) Error() string {
	return fmt.Sprintf("Elasticsearch answers %d %s: %s", f.Status, f.Type, f.Reason)
}

const maxReason = 1000

// do sends a request and returns the body of the answer, or a *failure. The body of a bulk request is JSON lines.
func (c *client) do(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	var r io.Reader
	if body != nil {
		r = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, path, r)
	if err != nil {
		return nil, fmt.Errorf("cannot ask Elasticsearch: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
		if strings.Contains(path, "_bulk") {
			req.Header.Set("Content-Type", "application/x-ndjson")
		}
	}
	resp, err := c.es.Perform(req)
	if err != nil {
		return nil, fmt.Errorf("cannot ask Elasticsearch: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		return nil, parseFailure(resp.StatusCode, text)
	}
	var b bytes.Buffer
	if resp.ContentLength > 0 {
		b.Grow(int(resp.ContentLength) + bytes.MinRead)
	}
	if _, err := b.ReadFrom(resp.Body); err != nil {
		return nil, fmt.Errorf("cannot read the answer of Elasticsearch: %w", err)
	}
	return b.Bytes(), nil
}

type errorBody struct {
	Type   string `json:"type"`
	Reason string `json:"reason"`
	Cause  *struct {
		Type   string `json:"type"`
		Reason string `json:"reason"`
	} `json:"caused_by"`
	Roots []struct {
		Type   string `json:"type"`
		Reason string `json:"reason"`
	} `json:"root_cause"`
}

func (e *errorBody) failure(status int) *failure {
	f := &failure{Status: status, Type: e.Type, Reason: e.Reason}
	if len(e.Roots) > 0 && f.Type == "search_phase_execution_exception" {
		f.Type, f.Reason = e.Roots[0].Type, e.Roots[0].Reason
	}
	if e.Cause != nil {
		f.Reason += ": " + e.Cause.Reason
		if f.Type == "search_phase_execution_exception" {
			f.Type = e.Cause.Type
		}
	}
	if len(f.Reason) > maxReason {
		f.Reason = strings.ToValidUTF8(f.Reason[:maxReason], "") + "…"
	}
	return f
}

func parseFailure(status int, text []byte) *failure {
	var body struct {
		Error json.RawMessage `json:"error"`
	}
	var e errorBody
	if json.Unmarshal(text, &body) == nil && json.Unmarshal(body.Error, &e) == nil && e.Type != "" {
		return e.failure(status)
	}
	return (&errorBody{Type: http.StatusText(status), Reason: string(text)}).failure(status)
}

// get asks for JSON and decodes it.
func (c *client) get(ctx context.Context, method, path string, body []byte, to any) error {
	b, err := c.do(ctx, method, path, body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, to); err != nil {
		return fmt.Errorf("cannot understand the answer of Elasticsearch to %s: %w", path, err)
	}
	return nil
}

// status is the HTTP status of an error of do; 0 where there was no answer.
func status(err error) int {
	var f *failure
	if errors.As(err, &f) {
		return f.Status
	}
	return 0
}
