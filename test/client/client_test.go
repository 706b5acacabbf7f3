package client

import (
	"crypto/sha256"
	"fmt"
	"os"
	"testing"

	"github.com/tallylog/tally/test/client/style"
)

// TestGeneratedFromTheDocument: whoever changes openapi.json generates the client anew.
func TestGeneratedFromTheDocument(t *testing.T) {
	text, err := os.ReadFile("../../server/api/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("openapi.sha256")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%x  -\n", sha256.Sum256(text)); got != string(want) {
		t.Error("openapi.json has changed since the client was generated; run: go generate ./test/client")
	}
}

func TestStyles(t *testing.T) {
	f := func(kind string, explode bool, at style.ParamLocation, value any, want string) {
		t.Helper()
		got, err := style.StyleParamWithLocation(kind, explode, "a b", at, value)
		if err != nil || got != want {
			t.Errorf("%s of %v: %q, %v; want %q", kind, value, got, err, want)
		}
	}
	f("form", true, style.ParamLocationQuery, "x&y=1", "a+b=x%26y%3D1")
	f("form", true, style.ParamLocationQuery, int64(-5), "a+b=-5")
	f("form", true, style.ParamLocationQuery, []string{"1", "2"}, "a+b=1&a+b=2")
	f("form", false, style.ParamLocationQuery, []string{"1", "2,3"}, "a+b=1,2%2C3")
	f("simple", false, style.ParamLocationPath, "x/y", "x%2Fy")
	f("simple", false, style.ParamLocationHeader, true, "true")
	if _, err := style.StyleParamWithLocation("deepObject", true, "a", style.ParamLocationQuery, "x"); err == nil {
		t.Error("an unknown style is written")
	}
	if _, err := style.StyleParamWithLocation("form", true, "a", style.ParamLocationQuery, struct{}{}); err == nil {
		t.Error("an object is written")
	}
	form, err := style.MarshalForm(struct {
		A string `json:"a"`
		B int    `json:"b,omitempty"`
		C bool   `json:"c"`
	}{A: "x y", C: true}, nil)
	if err != nil || form.Encode() != "a=x+y&c=true" {
		t.Errorf("%v, %v", form, err)
	}
}
