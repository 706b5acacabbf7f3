package k8smeta

import (
	"fmt"
	"strings"
	"sync"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/processors"

	names "github.com/tallylog/tally/processors/k8smeta"
	"github.com/tallylog/tally/processors/k8smeta/pods"
)

// processor implements libbeat's Processor; Run is called by many goroutines at once.
type processor struct {
	config
	share       *share
	names       [][]string // the fields' names at their dots
	paths       [][]string
	labels      map[string]bool // nil: all
	annotations map[string]bool

	mu   sync.RWMutex
	made map[string]*metadata // by the container's name or the file's path
}

// metadata is what an event with a certain name or path gets.
type metadata struct {
	ref    names.Ref // zero: the text names no pod
	pod    *pods.Pod // nil: from the name alone
	fields *tree
}

// maxMade bounds what is remembered; beyond it remembering begins anew.
const maxMade = 8192

func (s *share) processor(c *common.Config) (processors.Processor, error) {
	cfg, err := readConfig(c)
	if err != nil {
		return nil, fmt.Errorf("cannot use the processor %s: %w", Name, err)
	}
	if err := s.join(cfg); err != nil {
		return nil, err
	}
	p := &processor{config: cfg, share: s, made: map[string]*metadata{}, annotations: set(cfg.Annotations)}
	if cfg.Labels != nil {
		p.labels = set(cfg.Labels)
	}
	for _, n := range cfg.Names {
		p.names = append(p.names, strings.Split(n, "."))
	}
	for _, n := range cfg.Paths {
		p.paths = append(p.paths, strings.Split(n, "."))
	}
	return p, nil
}

func set(list []string) map[string]bool {
	m := make(map[string]bool, len(list))
	for _, s := range list {
		m[s] = true
	}
	return m
}

// Run implements libbeat's Processor. Whatever happens, the event goes on.
func (p *processor) Run(e *beat.Event) (*beat.Event, error) {
	for _, path := range p.names {
		if m := p.of(text(e.Fields, path), names.ParseContainerName, e); m != nil {
			m.fields.give(e, m.pod != nil)
			return e, nil
		}
	}
	for _, path := range p.paths {
		if m := p.of(text(e.Fields, path), names.ParsePath, e); m != nil {
			m.fields.give(e, m.pod != nil)
			return e, nil
		}
	}
	return e, nil
}

// of gives the metadata that belong to a name or path now; nil where it names no pod.
func (p *processor) of(text string, parse func(string) (names.Ref, bool), e *beat.Event) *metadata {
	if text == "" {
		return nil
	}
	p.mu.RLock()
	m := p.made[text]
	p.mu.RUnlock()
	var ref names.Ref
	if m != nil {
		ref = m.ref
	} else {
		ref, _ = parse(text)
	}
	var pod *pods.Pod
	if ref != (names.Ref{}) {
		if store := p.share.store.Load(); store != nil {
			pod = store.Find(ref)
		}
	}
	if m == nil || m.pod != pod {
		m = &metadata{ref: ref, pod: pod}
		switch {
		case pod != nil:
			m.fields = p.known(ref, pod)
		case ref != (names.Ref{}):
			m.fields = p.named(ref, e)
		}
		p.mu.Lock()
		if len(p.made) >= maxMade {
			clear(p.made)
		}
		p.made[strings.Clone(text)] = m
		p.mu.Unlock()
	}
	if m.fields == nil {
		return nil
	}
	return m
}

// named is what the name or path tells alone.
func (p *processor) named(r names.Ref, e *beat.Event) *tree {
	t := &tree{}
	r.Each(t.put)
	if p.Guess {
		host := p.Node
		for _, name := range names.DefaultHosts {
			if v := text(e.Fields, strings.Split(name, ".")); v != "" {
				host = v
				break
			}
		}
		names.Guess(r, host).Each(t.put)
	}
	return t
}

// known is what the API server has said of the pod, and what the name or path adds.
func (p *processor) known(r names.Ref, pod *pods.Pod) *tree {
	t := &tree{}
	r.Each(t.put)
	t.put(names.FieldNamespace, pod.Namespace)
	t.put(names.FieldPod, pod.Name)
	t.put(names.FieldUID, pod.UID)
	put := func(name, value string) {
		if value != "" {
			t.put(name, value)
		}
	}
	put(names.FieldIP, pod.IP)
	put(names.FieldNode, pod.Node)
	pod.Owner.Each(t.put)
	for k, v := range pod.Labels {
		if p.labels == nil || p.labels[k] {
			t.put(names.FieldLabels+"."+common.DeDot(k), v)
		}
	}
	for k, v := range pod.Annotations {
		if p.annotations[k] {
			t.put(names.FieldAnnotations+"."+common.DeDot(k), v)
		}
	}
	if c, ok := pod.ContainerOf(r); ok {
		put(names.FieldContainer, c.Name)
		put(names.FieldContainerImage, c.Image)
		put(names.FieldContainerRuntime, c.Runtime)
		put(names.FieldContainerID, c.ID)
	}
	return t
}

func (p *processor) String() string { return Name }
