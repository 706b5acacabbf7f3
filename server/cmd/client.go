package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// client talks to the server that the environment names.
type client struct {
	base     string
	token    string
	user     string
	password string
	http     http.Client
}

func newClient() (*client, error) {
	c := &client{base: os.Getenv("TALLY_URL"), token: os.Getenv("TALLY_TOKEN"), user: os.Getenv("TALLY_USER"), password: os.Getenv("TALLY_PASSWORD")}
	if c.base == "" {
		c.base = "http://127.0.0.1:5080"
	}
	c.base = strings.TrimSuffix(c.base, "/")
	if u, err := url.Parse(c.base); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fail(exitUsage, "TALLY_URL %q is no address like http://127.0.0.1:5080", c.base)
	}
	if c.token == "" && c.user == "" {
		return nil, fail(exitAccess, "no credentials: set TALLY_TOKEN, or TALLY_USER and TALLY_PASSWORD\n(the first password of the user admin is in the server's data directory, file admin-password)")
	}
	return c, nil
}

// do sends a request and returns the answer, or an error for every status but 2xx. The caller closes the body.
func (c *client) do(ctx context.Context, method, path string, q url.Values, header http.Header, body io.Reader) (*http.Response, error) {
	u := c.base + path
	if len(q) > 0 {
		u += "?" + q.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u, body)
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	} else {
		req.SetBasicAuth(c.user, c.password)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return nil, fail(exitFailed, "cannot reach the server at %s: %v", c.base, err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	var e struct {
		Error struct{ Code, Message string }
	}
	msg := strings.TrimSpace(string(text))
	if json.Unmarshal(text, &e) == nil && e.Error.Message != "" {
		msg = e.Error.Message
	}
	code := exitFailed
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		code = exitAccess
	case http.StatusBadRequest:
		code = exitUsage
	case http.StatusGatewayTimeout:
		code = exitPartial
	}
	return nil, fail(code, "%s (HTTP %d)", msg, resp.StatusCode)
}

// call sends and receives JSON. in and out may be nil.
func (c *client) call(ctx context.Context, method, path string, q url.Values, in, out any) error {
	var body io.Reader
	header := http.Header{}
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
		header.Set("Content-Type", "application/json")
	}
	resp, err := c.do(ctx, method, path, q, header, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil || resp.StatusCode == http.StatusNoContent {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("cannot read the server's answer: %w", err)
	}
	return nil
}
