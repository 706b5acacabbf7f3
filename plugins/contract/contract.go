package contract

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/plugins/host"
	"github.com/tallylog/tally/plugins/pluginapi"
	"github.com/tallylog/tally/strictyaml"
)

// Finding is the outcome of one check. Err is nil where the plugin does what is expected.
type Finding struct {
	Check string
	Note  string // what is worth knowing all the same
	Err   error
}

// Report is all there is to say of a program.
type Report struct {
	Description pluginapi.Description
	Checksum    string
	Findings    []Finding
}

// OK tells whether all checks went well.
func (r *Report) OK() bool {
	for _, f := range r.Findings {
		if f.Err != nil {
			return false
		}
	}
	return len(r.Findings) > 0
}

// Run tests the program at path with the options under n. log gets what the program writes.
func Run(ctx context.Context, path string, n strictyaml.Node, log *slog.Logger) *Report {
	r := &Report{}
	add := func(check, note string, err error) bool {
		r.Findings = append(r.Findings, Finding{check, note, err})
		return err == nil
	}
	var err error
	if r.Checksum, err = host.Checksum(path); !add("the file can be trusted", "", err) {
		return r
	}
	began := time.Now()
	l, err := host.StartLone(ctx, path, n, log)
	if !add("it starts, describes itself and takes its options", fmt.Sprintf("in %v", time.Since(began).Round(time.Millisecond)), err) {
		return r
	}
	r.Description = l.Description()
	closed := false
	defer func() {
		if !closed {
			l.Close()
		}
	}()
	for _, c := range []struct {
		name string
		f    func(context.Context, *host.Lone) (string, error)
	}{
		{"it describes itself the same way again", same}, {"an empty batch", empty}, {"ordinary events", ordinary}, {"events without the fields that it reads", bare},
		{"odd and large values", odd}, {"bytes that are no batch", garbage}, {"many batches at once", crowd}, {"speed", speed},
	} {
		note, err := c.f(ctx, l)
		if reason, ended := l.Ended(); ended {
			err = errors.Join(err, fmt.Errorf("the program ended (%s)", reason))
		}
		if !add(c.name, note, err) {
			return r
		}
	}
	closed = true
	took := l.Close()
	err = nil
	if took >= time.Second {
		err = errors.New("it did not end within a second of SIGTERM")
	}
	add("it ends when asked to", fmt.Sprintf("in %v", took.Round(time.Millisecond)), err)
	return r
}

func same(ctx context.Context, l *host.Lone) (string, error) {
	out, err := l.Raw(ctx, "Describe", []byte(`{"protocol":1,"host":"tally","capabilities":["drop","split","fail","tag"]}`))
	if err != nil {
		return "", err
	}
	var d pluginapi.Description
	if err := json.Unmarshal(out, &d); err != nil {
		return "", err
	}
	a, _ := json.Marshal(d)
	if b, _ := json.Marshal(l.Description()); !bytes.Equal(a, b) {
		return "", fmt.Errorf("first %s, then %s", b, a)
	}
	return "", nil
}

func empty(ctx context.Context, l *host.Lone) (string, error) {
	_, err := l.Process(ctx, nil)
	return "", err
}

// names are those that the plugin reads, and some that it does not.
func names(l *host.Lone) []string {
	out := []string{"message", "log.level", "http.response.status_code"}
	for _, n := range l.Description().Reads {
		if n != "*" && n != pluginapi.Timestamp {
			out = append(out, n)
		}
	}
	return out
}

func sample(l *host.Lone, i int) *event.Event {
	e := &event.Event{Time: 1_700_000_000_000_000_000 + int64(i)}
	for _, n := range names(l) {
		e.Put(n, fmt.Sprintf("ERROR value %d of %s, user=u%d took=%dms", i, n, i%7, i*3))
	}
	return e
}

func ordinary(ctx context.Context, l *host.Lone) (string, error) {
	var kept, dropped, changed, split, failed int
	for _, n := range []int{1, 2, 512} {
		events := make([]*event.Event, n)
		for i := range events {
			events[i] = sample(l, i)
		}
		results, err := l.Process(ctx, events)
		if err != nil {
			return "", fmt.Errorf("a batch of %d: %w", n, err)
		}
		for _, r := range results {
			*[]*int{&kept, &dropped, &changed, &split, &failed}[r.What]++
		}
	}
	return fmt.Sprintf("kept %d, changed %d, split %d, dropped %d, failed %d", kept, changed, split, dropped, failed), nil
}

func bare(ctx context.Context, l *host.Lone) (string, error) {
	_, err := l.Process(ctx, []*event.Event{{}, {Fields: []event.Field{{Name: "zz", Value: "z"}}}})
	return "", err
}

func odd(ctx context.Context, l *host.Lone) (string, error) {
	var events []*event.Event
	for _, f := range []event.Field{
		{Value: ""}, {Value: "\x00\n\t\r\x1b"}, {Value: "失败 🦆 \u2028"}, {Value: "-1.5e300", Kind: event.Number}, {Value: "99999999999999999999", Kind: event.Number},
		{Value: "true", Kind: event.Bool}, {Value: "[]", Kind: event.JSON}, {Value: "{}", Kind: event.JSON}, {Value: `["a",{"b":[1,null]}]`, Kind: event.JSON},
		{Value: string(bytes.Repeat([]byte("long "), 200_000))},
	} {
		e := &event.Event{Time: -1}
		for _, n := range names(l) {
			f.Name = n
			e.PutField(f)
		}
		events = append(events, e)
	}
	for _, e := range events { // one by one, so that the error is near its cause
		if _, err := l.Process(ctx, []*event.Event{e}); err != nil {
			v, _ := e.Get("message")
			return "", fmt.Errorf("the value %.40q: %w", v, err)
		}
	}
	return "", nil
}

func garbage(ctx context.Context, l *host.Lone) (string, error) {
	for _, b := range []string{"", "\x00", "\x01", "\x02\x00\x00", "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x01\x00\x01\x00\x01\x05\x00\x00", "GET / HTTP/1.1"} {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		_, err := l.Raw(ctx, "Process", []byte(b))
		cancel()
		if err == nil {
			return "", fmt.Errorf("%q was taken for a batch", b)
		}
	}
	_, err := l.Process(ctx, []*event.Event{sample(l, 1)})
	return "", err
}

func crowd(ctx context.Context, l *host.Lone) (string, error) {
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			for n := range 5 {
				events := make([]*event.Event, 10+i+n)
				for j := range events {
					events[j] = sample(l, j)
				}
				if _, err := l.Process(ctx, events); err != nil && errs[i] == nil {
					errs[i] = err
				}
			}
		})
	}
	wg.Wait()
	return "", errors.Join(errs...)
}

func speed(ctx context.Context, l *host.Lone) (string, error) {
	events := make([]*event.Event, 512)
	for i := range events {
		events[i] = sample(l, i)
	}
	began, n := time.Now(), 0
	for n < 50 && time.Since(began) < time.Second {
		if _, err := l.Process(ctx, events); err != nil {
			return "", err
		}
		n++
	}
	per := time.Since(began) / time.Duration(n*len(events))
	return fmt.Sprintf("%v an event in batches of 512", per), nil
}
