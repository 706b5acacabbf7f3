//go:build kube

package kube

import (
	"net/http"
	"strings"
	"testing"
)

func TestCluster(t *testing.T) {
	c := Start(t)
	c.Namespace("shop")
	// What strict validation is for: a misspelt key is refused, not left out.
	const pod = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"spec":{"nodeName":"n1","containers":[{"name":"c","image":"i"}]}}`
	path := "/api/v1/namespaces/shop/pods"
	if code, answer := c.Do("POST", path+"?fieldValidation=Strict", "", strings.Replace(pod, "image", "imgae", 1)); code != http.StatusBadRequest {
		t.Errorf("a misspelt key: %d %s", code, answer)
	}
	if code, answer := c.Do("POST", path, "", pod); code != http.StatusCreated {
		t.Errorf("a pod: %d %s", code, answer)
	}
	out := c.MustRun("", "get", "pods", "-A", "--field-selector", "spec.nodeName=n1", "-o", "name")
	if strings.TrimSpace(out) != "pod/p" {
		t.Errorf("kubectl sees %q", out)
	}
	// What is stored outlives the API server.
	url := c.URL
	c.StopAPI()
	c.StartAPI()
	if code, answer := c.Do("GET", path+"/p", "", nil); code != http.StatusOK || c.URL != url {
		t.Errorf("after a restart: %d %s at %s, before at %s", code, answer, c.URL, url)
	}
}
