package main

import (
	"reflect"
	"testing"

	"github.com/tallylog/tally/plugins/plugintest"
)

func TestPlugin(t *testing.T) { plugintest.Check(t, ".", "separator: ';'\nmax: 3") }

func TestProcess(t *testing.T) {
	p := plugintest.Start(t, ".", "separator: ';'\nmax: 3")
	got := p.Process(`{"message":"a;b","x":1}`, `{"message":"one"}`, `{"message":" "}`, `{"x":2}`, `{"message":";c"}`, `{"message":"1;2;3;4"}`)
	want := []string{
		`{"message":"a","x":1,"log.line":1}`, `{"message":"b","x":1,"log.line":2}`, `{"message":"one"}`, `{"x":2}`, `{"message":"c","log.line":2}`,
		`{"message":"1;2;3;4","error.message":"the message has too many lines"}`,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
