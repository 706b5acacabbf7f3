package cmd

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallylog/tally/server/config"
)

func queryCommand() *cobra.Command {
	var out output
	var since, start, end, order, fields string
	var limit int
	var count bool
	c := &cobra.Command{
		Use:   "query [flags] [WORDS...]",
		Short: "Search stored events",
		Long: `Search stored events. On a terminal the newest stands last, next to the prompt; in a pipe the newest comes first, as NDJSON.
The query language is described in docs/query.md: words, "phrases", field:value, AND OR NOT, parentheses.`,
		Example: `  tally query error
  tally query --since 24h 'kubernetes.namespace:shop AND (timeout OR "connection refused")'
  tally query --start 2026-01-02T15:00:00Z --end 2026-01-02T16:00:00Z --limit 100000 '*' > hour.ndjson
  tally query --count --since 7d 'status:>=500'`,
		RunE: func(c *cobra.Command, args []string) error {
			text, err := out.text(c)
			if err != nil {
				return err
			}
			q := url.Values{"query": {strings.Join(args, " ")}}
			if err := setTimes(q, since, start, end); err != nil {
				return err
			}
			cl, err := newClient()
			if err != nil {
				return err
			}
			if count {
				var n struct{ Count int64 }
				if err := cl.call(c.Context(), "GET", "/api/v1/count", q, nil, &n); err != nil {
					return err
				}
				_, err := fmt.Fprintln(c.OutOrStdout(), n.Count)
				return err
			}
			q.Set("limit", fmt.Sprint(limit))
			if order != "" {
				q.Set("order", order)
			}
			if fields != "" {
				q.Set("fields", fields)
			}
			return runQuery(c, cl, q, text, text && order == "")
		},
	}
	out.flag(c)
	c.Flags().StringVar(&since, "since", "1h", "how far back, like 30m, 24h, 7d")
	c.Flags().StringVar(&start, "start", "", "start, inclusive: RFC 3339, or a distance from now like -2h; instead of --since")
	c.Flags().StringVar(&end, "end", "", "end, exclusive")
	c.Flags().StringVar(&order, "order", "", "desc (newest first) or asc")
	c.Flags().StringVar(&fields, "fields", "", "only these fields, separated by commas")
	c.Flags().IntVarP(&limit, "limit", "n", 1000, "largest number of events")
	c.Flags().BoolVar(&count, "count", false, "print only how many there are")
	return c
}

func setTimes(q url.Values, since, start, end string) error {
	if start == "" {
		d, err := config.ParseDuration(since)
		if err != nil {
			return fail(exitUsage, "--since %v", err)
		}
		start = time.Now().Add(-d).UTC().Format(time.RFC3339Nano)
	}
	q.Set("start", start)
	if end != "" {
		q.Set("end", end)
	}
	return nil
}

// runQuery prints the rows. With newestLast it holds them back to turn their order round.
func runQuery(c *cobra.Command, cl *client, q url.Values, text, newestLast bool) error {
	resp, err := cl.do(c.Context(), "GET", "/api/v1/query", q, nil, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	w := bufio.NewWriterSize(c.OutOrStdout(), 64<<10)
	if !text {
		if _, err := io.Copy(w, resp.Body); err != nil {
			return partial(w.Flush(), err)
		}
	} else {
		p := newPainter(c)
		var held []map[string]string
		d := json.NewDecoder(resp.Body)
		for {
			var e map[string]string
			if err := d.Decode(&e); err == io.EOF {
				break
			} else if err != nil {
				return partial(w.Flush(), err)
			}
			if newestLast {
				held = append(held, e)
			} else {
				p.printLine(w, e)
			}
		}
		for _, e := range slices.Backward(held) {
			p.printLine(w, e)
		}
		if n := len(held); n > 0 && fmt.Sprint(n) == q.Get("limit") {
			fmt.Fprintf(os.Stderr, "(the newest %d; --limit shows more)\n", n)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if msg := resp.Trailer.Get("Tally-Error"); msg != "" {
		return fail(exitPartial, "the answer is partial: %s", msg)
	}
	return nil
}

func partial(flush, err error) error {
	return fail(exitPartial, "the answer is partial: %w", errors.Join(flush, err))
}

func tailCommand() *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:   "tail [flags] [WORDS...]",
		Short: "Follow events as they arrive",
		Long:  "Follow events as they arrive, until Ctrl-C. When it cannot keep up it says how many events it skipped.",
		Example: `  tally tail
  tally tail 'kubernetes.namespace:shop error'`,
		RunE: func(c *cobra.Command, args []string) error {
			text, err := out.text(c)
			if err != nil {
				return err
			}
			cl, err := newClient()
			if err != nil {
				return err
			}
			return follow(c.Context(), c, cl, url.Values{"query": {strings.Join(args, " ")}}, text)
		},
	}
	out.flag(c)
	return c
}

// follow prints a live tail, connecting again when the server goes away.
func follow(ctx context.Context, c *cobra.Command, cl *client, q url.Values, text bool) error {
	p := newPainter(c)
	errOut := c.ErrOrStderr()
	for first := true; ; first = false {
		resp, err := cl.do(ctx, "GET", "/api/v1/tail", q, nil, nil)
		var e *exitError
		switch {
		case err == nil:
			if !first {
				fmt.Fprintln(errOut, "tally: connected again; what came in between is not shown")
			}
			err = readTail(resp.Body, c.OutOrStdout(), errOut, p, text)
			resp.Body.Close()
			if err != nil {
				return err
			}
		case first, errors.As(err, &e) && e.code != exitFailed:
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		if first || err == nil {
			fmt.Fprintln(errOut, "tally: the server ended the live tail; trying again")
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil
		}
	}
}

// readTail prints server-sent events until the stream ends.
func readTail(in io.Reader, out, errOut io.Writer, p painter, text bool) error {
	s := bufio.NewScanner(in)
	s.Buffer(make([]byte, 64<<10), 16<<20)
	kind := ""
	for s.Scan() {
		name, value, _ := strings.Cut(s.Text(), ": ")
		switch name {
		case "":
			kind = ""
		case "event":
			kind = value
		case "data":
			switch kind {
			case "skipped":
				fmt.Fprintf(errOut, "tally: could not keep up, skipped events: %s\n", value)
			case "missing":
				var m struct{ Servers []string }
				if json.Unmarshal([]byte(value), &m) == nil && len(m.Servers) > 0 {
					fmt.Fprintf(errOut, "tally: without what these servers take in, which do not answer: %s\n", strings.Join(m.Servers, ", "))
				}
			case "error":
				return fail(exitAccess, "the server ended the live tail: %s", value)
			default:
				if !text {
					if _, err := fmt.Fprintln(out, value); err != nil {
						return err
					}
					continue
				}
				var e map[string]string
				if json.Unmarshal([]byte(value), &e) == nil {
					p.printLine(out, e)
				}
			}
		}
	}
	return nil
}
