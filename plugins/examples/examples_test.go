package examples

import (
	"reflect"
	"testing"

	"github.com/tallylog/tally/plugins/plugintest"
)

// What the Python example needs is installed by go tool mage test: python3-grpcio and python3-protobuf.

func TestKeywords(t *testing.T) {
	plugintest.Check(t, "keywords/keywords.py", "words: [ERROR, user]")
}

func TestKeywordsProcess(t *testing.T) {
	p := plugintest.Start(t, "keywords/keywords.py", "words: [red, blau, 失败]\ndrop: noise")
	got := p.Process(`{"message":"a blau and a red"}`, `{"message":"none"}`, `{"message":"red noise"}`, `{"x":1}`, `{"message":"失败 red","y":true}`)
	want := []string{`{"message":"a blau and a red","keywords":["blau", "red"]}`, `{"message":"none"}`, `{"x":1}`, `{"message":"失败 red","y":true,"keywords":["red", "\u5931\u8d25"]}`}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
