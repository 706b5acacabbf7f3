package elasticsearch

import (
	"context"
	"net/http"
	"testing"
	"time"
)

// TestKillAndStart holds that a node which was killed comes back with its data, at the same address.
func TestKillAndStart(t *testing.T) {
	c, err := Start(context.Background(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	url := c.Addresses[0] + "/books"
	status := func(method string) int {
		t.Helper()
		req, err := http.NewRequest(method, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if s := status(http.MethodPut); s != http.StatusOK {
		t.Fatalf("creating an index gives %d", s)
	}
	if err := c.Nodes[0].Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := http.Get(url); err == nil {
		t.Fatal("the killed node answers")
	}
	if err := c.Nodes[0].Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	if err := c.Wait(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if s := status(http.MethodHead); s != http.StatusOK {
		t.Errorf("the index is gone: %d", s)
	}
}
