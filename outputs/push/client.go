package push

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/elastic/beats/v7/libbeat/logp"
	"github.com/elastic/beats/v7/libbeat/outputs"
	"github.com/elastic/beats/v7/libbeat/publisher"
	"github.com/elastic/beats/v7/libbeat/testing"
)

// Bounds of what is taken from a server: the bytes of an answer, how long its Retry-After may hold up, and how many reasons
// of one answer are logged.
const (
	maxAnswer = 4 << 20
	maxWait   = 5 * time.Minute
	maxLogged = 10
)

// client pushes to one host. Connect, Publish and Test are called by one goroutine, Close by any.
type client struct {
	url      string
	web      *http.Client
	cfg      *config
	body     *body
	log      *logp.Logger
	observer outputs.Observer

	mu     sync.Mutex
	ctx    context.Context // ends with Close; nil while not connected
	cancel context.CancelFunc
}

var (
	_ outputs.NetworkClient = (*client)(nil)
	_ testing.Testable      = (*client)(nil)
)

var errNotConnected = errors.New("not connected")

// Connect finds out whether the host answers at all: a request without events, which needs the same credentials.
func (c *client) Connect() error {
	c.mu.Lock()
	if c.cancel != nil {
		c.cancel()
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	ctx := c.ctx
	c.mu.Unlock()
	_, text, err := c.body.lines(nil, 0)
	if err == nil {
		_, err = c.post(ctx, text)
	}
	return err
}

// Close ends the request under way.
func (c *client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cancel != nil {
		c.cancel()
		c.ctx, c.cancel = nil, nil
	}
	c.web.CloseIdleConnections()
	return nil
}

func (c *client) String() string { return "push(" + c.url + ")" }

// Test is what the command "test output" shows.
func (c *client) Test(d testing.Driver) {
	d.Run("tally: "+c.url, func(d testing.Driver) {
		d.Fatal("push of nothing", c.Connect())
	})
	_ = c.Close()
}

// Publish sends a batch in one request, or in several where it is large, and returns when it is answered.
func (c *client) Publish(_ context.Context, batch publisher.Batch) error {
	c.mu.Lock()
	ctx := c.ctx
	c.mu.Unlock()
	if ctx == nil {
		batch.Cancelled()
		return errNotConnected
	}
	events := batch.Events()
	c.observer.NewBatch(len(events))
	for limit := len(events); len(events) > 0; {
		n, text, err := c.body.lines(events, limit)
		var ans *answer
		if err == nil {
			ans, err = c.post(ctx, text)
		}
		var no *refusal
		switch {
		case err == nil:
			c.report(ans)
			c.observer.Acked(n - min(n, ans.RejectedCount))
			c.observer.Dropped(min(n, ans.RejectedCount))
		case errors.As(err, &no) && no.Status == http.StatusRequestEntityTooLarge && n > 1:
			limit = n / 2
			continue
		case errors.As(err, &no) && (no.Status == http.StatusRequestEntityTooLarge || no.Code == "scope"):
			// The server will never take these events.
			c.log.Errorf("%d events are rejected: %v", n, err)
			c.observer.Dropped(n)
		default:
			c.observer.Failed(len(events))
			c.log.Errorf("Failed to publish events caused by: %v", err)
			if no != nil {
				c.hold(ctx, no)
			}
			batch.RetryEvents(events)
			return err
		}
		events = events[n:]
	}
	batch.ACK()
	return nil
}

// hold waits as long as the server wants.
func (c *client) hold(ctx context.Context, no *refusal) {
	if no.Status == http.StatusTooManyRequests {
		c.observer.ErrTooMany(1)
	}
	timer := time.NewTimer(min(no.after, maxWait))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// report logs why lines were rejected.
func (c *client) report(a *answer) {
	for i, r := range a.Rejected {
		if i == maxLogged {
			break
		}
		c.log.Errorf("an event is rejected by %s: %s", c.url, r.Reason)
	}
	if a.RejectedCount > maxLogged {
		c.log.Errorf("%d events of one request are rejected by %s", a.RejectedCount, c.url)
	}
}

// answer is the body of a 200; see server/intake/push.
type answer struct {
	Accepted   *int `json:"accepted"`
	Duplicates int  `json:"duplicates"`
	Rejected   []struct {
		Line   int    `json:"line"`
		Reason string `json:"reason"`
	} `json:"rejected"`
	RejectedCount int `json:"rejected_count"`
}

// refusal is any other answer.
type refusal struct {
	Status  int
	Code    string `json:"code"`
	Message string `json:"message"`
	after   time.Duration
}

func (r *refusal) Error() string {
	if r.Message == "" {
		return "the server answers " + http.StatusText(r.Status) + " (" + strconv.Itoa(r.Status) + ")"
	}
	return fmt.Sprintf("the server answers %d: %s", r.Status, r.Message)
}

// post sends one request. The error is a *refusal where the server has answered.
func (c *client) post(ctx context.Context, text []byte) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("cannot push to %q: %w", c.url, err)
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	req.Header.Set("Tally-Positions", "event")
	if c.body.encoding != "" {
		req.Header.Set("Content-Encoding", c.body.encoding)
	}
	switch {
	case c.cfg.Token != "":
		req.Header.Set("Authorization", "Bearer "+c.cfg.Token)
	case c.cfg.Username != "":
		req.SetBasicAuth(c.cfg.Username, c.cfg.Password)
	}
	res, err := c.web.Do(req)
	if err != nil {
		return nil, fmt.Errorf("cannot push: %w", err)
	}
	defer res.Body.Close()
	said, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("cannot read the answer of %q: %w", c.url, err)
	}
	if res.StatusCode != http.StatusOK {
		var e struct {
			Error refusal `json:"error"`
		}
		_ = json.Unmarshal(said, &e) // a proxy says what it likes
		e.Error.Status, e.Error.after = res.StatusCode, retryAfter(res.Header.Get("Retry-After"), time.Now())
		return nil, &e.Error
	}
	a := &answer{}
	if err := json.Unmarshal(said, a); err != nil || a.Accepted == nil {
		return nil, fmt.Errorf("cannot take the answer of %q for one of Tally: it begins with %.60q", c.url, said)
	}
	return a, nil
}

// retryAfter reads the header, seconds or a date (RFC 9110, 10.2.3).
func retryAfter(text string, now time.Time) time.Duration {
	if n, err := strconv.Atoi(text); err == nil {
		return time.Duration(max(0, min(n, int(maxWait/time.Second)))) * time.Second
	}
	if t, err := http.ParseTime(text); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}
