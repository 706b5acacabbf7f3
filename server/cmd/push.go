package cmd

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/intake/push"
)

// A request of push carries at most this much.
const (
	pushBytes = 4 << 20
	pushLines = 10_000
)

func pushCommand() *cobra.Command {
	var source string
	var from int64
	var plain bool
	var fields []string
	c := &cobra.Command{
		Use:   "push [FILE]",
		Short: "Send events: NDJSON, or lines of text with --text",
		Long: `Send events from FILE, or from standard input: one JSON object a line, or, with --text, lines that become the message.
With --source every line has a position in that source, so that a repeated push of the same file stores nothing twice.`,
		Example: `  tally push events.ndjson
  tally push --source backup-2026-01-02 events.ndjson
  dmesg | tally push --text --field host.name=$(hostname)`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			in := stdin(c)
			if len(args) == 1 && args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			cl, err := newClient()
			if err != nil {
				return err
			}
			p := &pusher{c: c, cl: cl, source: source, next: from, total: push.Answer{Rejected: []push.Rejected{}}}
			if plain {
				if p.fields, err = parseFields(fields); err != nil {
					return err
				}
			} else if len(fields) > 0 {
				return fail(exitUsage, "--field goes with --text")
			}
			return p.run(in, plain)
		},
	}
	c.Flags().StringVar(&source, "source", "", "name of the source; makes a repeated push harmless")
	c.Flags().Int64Var(&from, "from", 0, "position of the first line in the source")
	c.Flags().BoolVar(&plain, "text", false, "the input is text, not JSON")
	c.Flags().StringArrayVar(&fields, "field", nil, "name=value for every event, with --text")
	return c
}

func parseFields(list []string) ([]event.Field, error) {
	var out []event.Field
	for _, s := range list {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return nil, fail(exitUsage, "--field %q is not name=value", s)
		}
		out = append(out, event.Field{Name: name, Value: value})
	}
	return out, nil
}

// pusher sends a stream in requests of bounded size and adds up the answers.
type pusher struct {
	c      *cobra.Command
	cl     *client
	source string
	next   int64
	fields []event.Field
	body   bytes.Buffer
	lines  int64
	total  push.Answer
	sent   int // lines of the input that were sent before the request under way
}

func (p *pusher) run(in io.Reader, plain bool) error {
	r := bufio.NewReaderSize(in, 1<<20)
	for {
		line, err := r.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			p.add(bytes.TrimRight(line, "\r\n"), plain)
		}
		if p.body.Len() >= pushBytes || p.lines >= pushLines || err != nil && p.lines > 0 {
			if err := p.send(); err != nil {
				return err
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if err := json.NewEncoder(p.c.OutOrStdout()).Encode(p.total); err != nil {
		return err
	}
	if p.total.RejectedCount > 0 {
		return fail(exitPartial, "%d of the lines were rejected; the first: line %d: %s", p.total.RejectedCount, p.total.Rejected[0].Line, p.total.Rejected[0].Reason)
	}
	return nil
}

func (p *pusher) add(line []byte, plain bool) {
	p.lines++
	if !plain {
		p.body.Write(line)
		p.body.WriteByte('\n')
		return
	}
	b := event.AppendQuoted([]byte(`{"message":`), string(line))
	for _, f := range p.fields {
		b = event.AppendQuoted(append(b, ','), f.Name)
		b = event.AppendQuoted(append(b, ':'), f.Value)
	}
	p.body.Write(append(b, '}', '\n'))
}

// send sends one request. It repeats what the server could not store in time, where that cannot double anything.
func (p *pusher) send() error {
	h := http.Header{"Content-Type": {"application/x-ndjson"}}
	if p.source != "" {
		h.Set("Tally-Source", p.source)
		h.Set("Tally-From", fmt.Sprint(p.next))
	}
	var ans push.Answer
	for try := 0; ; try++ {
		resp, err := p.cl.do(p.c.Context(), "POST", "/api/v1/push", nil, h, bytes.NewReader(p.body.Bytes()))
		if err == nil {
			err = json.NewDecoder(resp.Body).Decode(&ans)
			resp.Body.Close()
		}
		if err == nil {
			break
		}
		var e *exitError
		if p.source == "" || try >= 10 || p.c.Context().Err() != nil || errors.As(err, &e) && e.code != exitFailed {
			return fmt.Errorf("%w\n(%d lines were stored before)", err, p.total.Accepted+p.total.Duplicates)
		}
		fmt.Fprintln(p.c.ErrOrStderr(), "tally:", err, "- trying again")
		select {
		case <-time.After(time.Second):
		case <-p.c.Context().Done():
			return p.c.Context().Err()
		}
	}
	p.total.Accepted += ans.Accepted
	p.total.Duplicates += ans.Duplicates
	p.total.RejectedCount += ans.RejectedCount
	for _, r := range ans.Rejected {
		if len(p.total.Rejected) < 100 {
			r.Line += p.sent
			p.total.Rejected = append(p.total.Rejected, r)
		}
	}
	p.next += p.lines
	p.sent += int(p.lines)
	p.lines = 0
	p.body.Reset()
	return nil
}
