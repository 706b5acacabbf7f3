package bundle_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/processors"
	_ "github.com/elastic/beats/v7/libbeat/processors/actions"
	"github.com/elastic/beats/v7/libbeat/publisher"

	"github.com/tallylog/tally/outputs/bundle"
)

// parse reads a list of processors.
func parse(t *testing.T, text string) (list []*common.Config) {
	t.Helper()
	c, err := common.NewConfigWithYAML([]byte("processors: "+text), "test")
	if err != nil {
		t.Fatal(err)
	}
	var root struct {
		Processors []*common.Config `config:"processors"`
	}
	if err := c.Unpack(&root); err != nil {
		t.Fatal(err)
	}
	return root.Processors
}

func TestPass(t *testing.T) {
	f := func(want bool, text string) {
		t.Helper()
		if got := bundle.Pass(parse(t, text)); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	f(true, "[]")
	f(true, "[{k8smeta: ~}, {add_fields: {target: '', fields: {env: prod}}}]")
	f(true, "[{add_host_metadata: {when.not.contains.tags: forwarded}}, {add_cloud_metadata: ~}, {add_docker_metadata: ~}, {add_kubernetes_metadata: ~}]")
	f(true, "[{drop_fields: {fields: [agent.ephemeral_id, ecs], when: {has_fields: [kubernetes.namespace]}}}]")
	f(true, "[{add_tags: {tags: [a]}}, {add_labels: {labels: {a.b: c}}}]")
	f(false, "[{add_tags: {tags: [a]}}, {grok: {patterns: ['%{WORD:a}']}}]")
	f(false, "[{drop_event: {when: {equals: {a: b}}}}]")
	f(false, "[{add_tags: {tags: [a], when: {contains: {message: x}}}}]")
	f(false, "[{add_tags: {tags: [a], when: {or: [{equals: {a: b}}, {not: {regexp: {message: x}}}]}}}]")
	f(false, "[{add_tags: {tags: [a], when: {range: {log.offset.gt: 5}}}}]")
	f(false, "[{add_tags: {tags: [a], when: {has_fields: [log.flags]}}}]")
	f(false, "[{add_fields: {target: '', fields: {message: x}}}]")
	f(false, "[{add_fields: {target: message, fields: {a: x}}}]")
	f(false, "[{drop_fields: {fields: [a, message]}}]")
	f(false, "[{drop_fields: {fields: [log.offset]}}]")
	f(false, "[{drop_fields: {fields: ['/^m/']}}]")
	f(false, "[{drop_fields: {fields: ['@metadata.tally']}}]")
	f(false, "[{k8smeta: {names: [message]}}]")
	f(false, "[{add_id: ~}]")
	f(false, "[{if: {equals: {a: b}}, then: [{add_tags: {tags: [a]}}]}]")
}

// What Pass lets through gives the same events with a bundle as with its lines one by one.
func TestPassIsAlike(t *testing.T) {
	for _, text := range []string{
		"[{add_fields: {target: '', fields: {env: prod, input.type: other}}}]",
		"[{add_labels: {labels: {a.b: c}}}, {add_tags: {tags: [x, y]}}, {add_tags: {tags: [z], target: more}}]",
		"[{drop_fields: {fields: [input, kubernetes.pod], ignore_missing: true}}]",
		"[{add_tags: {tags: [x], when: {equals: {kubernetes.namespace: shop}}}}, {add_tags: {tags: [never], when: {has_fields: [nothing]}}}]",
	} {
		list := parse(t, text)
		if !bundle.Pass(list) {
			t.Errorf("%s does not pass", text)
		}
		p, err := processors.New(list)
		if err != nil {
			t.Fatal(err)
		}
		made := func() publisher.Event {
			return publisher.Event{Content: beat.Event{Timestamp: time.Unix(9, 0), Meta: common.MapStr{}, Fields: common.MapStr{
				"log": common.MapStr{"file": common.MapStr{"path": "/a"}}, "input": common.MapStr{"type": "applog"},
				"kubernetes": common.MapStr{"namespace": "shop", "pod": common.MapStr{"uid": "1"}},
			}, Private: &bundle.Bundle{Source: "file:a", Lines: []bundle.Line{{From: 0, To: 2, Message: "a"}, {From: 2, To: 4, Message: "b"}}}}}
		}
		single := bundle.Expand([]publisher.Event{made()})
		for i := range single {
			if _, err := p.Run(&single[i].Content); err != nil {
				t.Fatal(err)
			}
		}
		whole := made()
		if _, err := p.Run(&whole.Content); err != nil {
			t.Fatal(err)
		}
		together := bundle.Expand([]publisher.Event{whole})
		for i := range together {
			together[i].Content.Private, single[i].Content.Private = nil, nil
			if !reflect.DeepEqual(together[i].Content, single[i].Content) {
				t.Errorf("%s: %+v, want %+v", text, together[i].Content, single[i].Content)
			}
		}
	}
}
