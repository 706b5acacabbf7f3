package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallylog/tally/internal/durable"
)

// exportPage is the number of events after which an export to a file can be taken up again.
const exportPage = 50_000

// exportTries is how often in a row a page may fail before the export is given up.
const exportTries = 6

func exportCommand() *cobra.Command {
	var since, start, end, order, fields, format, file string
	var resume bool
	c := &cobra.Command{
		Use:   "export [flags] [WORDS...]",
		Short: "Write all matching events to a file",
		Long: `Write all events that match, oldest first, as NDJSON or CSV. With --file the export survives a lost connection, and
--resume takes up one that was ended: until it is complete, the file has the ending .part, with its state beside it.
Without --file the events go to standard output.`,
		Example: `  tally export --since 30d --file month.ndjson 'kubernetes.namespace:shop'
  tally export --resume --file month.ndjson
  tally export --format csv --fields @timestamp,level,message error > errors.csv`,
		RunE: func(c *cobra.Command, args []string) error {
			if resume && (file == "" || len(args) > 0) {
				return fail(exitUsage, "--resume goes with --file alone; the query is the one the export began with")
			}
			if format == "csv" && fields == "" && !resume {
				return fail(exitUsage, "CSV needs --fields: the names of its columns, separated by commas")
			}
			cl, err := newClient()
			if err != nil {
				return err
			}
			x := &exporter{cl: cl, out: c.OutOrStdout(), progress: io.Discard, page: exportPage, pause: time.Second}
			if f, ok := c.ErrOrStderr().(*os.File); ok && isTerminal(f) {
				x.progress = f
			}
			if resume {
				return x.resume(c.Context(), file)
			}
			q := url.Values{"query": {strings.Join(args, " ")}, "order": {order}, "format": {format}}
			if err := setTimes(q, since, start, end); err != nil {
				return err
			}
			if end == "" { // what arrives meanwhile would keep it from ending
				q.Set("end", time.Now().UTC().Format(time.RFC3339Nano))
			}
			if fields != "" {
				q.Set("fields", fields)
			}
			if file == "" {
				return x.toOutput(c.Context(), q)
			}
			return x.toFile(c.Context(), file, q)
		},
	}
	c.Flags().StringVar(&since, "since", "1h", "how far back, like 30m, 24h, 7d")
	c.Flags().StringVar(&start, "start", "", "start, inclusive: RFC 3339, or a distance from now like -2h; instead of --since")
	c.Flags().StringVar(&end, "end", "", "end, exclusive; default: now")
	c.Flags().StringVar(&order, "order", "asc", "asc (oldest first) or desc")
	c.Flags().StringVar(&fields, "fields", "", "only these fields, separated by commas; for CSV the columns")
	c.Flags().StringVar(&format, "format", "ndjson", "ndjson or csv")
	c.Flags().StringVarP(&file, "file", "f", "", "file to write")
	c.Flags().BoolVar(&resume, "resume", false, "take up an export to --file that was ended")
	return c
}

// exporter fetches pages. It is used by one goroutine.
type exporter struct {
	cl       *client
	out      io.Writer // without a file
	progress io.Writer
	page     int           // events
	pause    time.Duration // before the second try
	total    int64         // events, where progress is shown
}

// exportState is what stands beside a file that is not complete: the file holds Bytes bytes of events, and the next ones
// follow Cursor.
type exportState struct {
	Parameters url.Values `json:"parameters"`
	Cursor     string     `json:"cursor"`
	Bytes      int64      `json:"bytes"`
	Lines      int64      `json:"lines"`
}

func partOf(file string) string  { return file + ".part" }
func stateOf(file string) string { return file + ".part.state" }

// toOutput writes everything in one go: what went into a pipe cannot be taken back, so a failure ends it.
func (x *exporter) toOutput(ctx context.Context, q url.Values) error {
	cursor, _, _, err := x.fetch(ctx, q, x.out, 0)
	if err != nil {
		return err
	}
	if cursor != "" {
		return fail(exitPartial, "the export is partial: the server ended it early")
	}
	return nil
}

func (x *exporter) toFile(ctx context.Context, file string, q url.Values) error {
	for _, name := range []string{file, partOf(file)} {
		if _, err := os.Lstat(name); err == nil {
			return fail(exitUsage, "%q is there already; remove it, or take a begun export up with --resume", name)
		}
	}
	f, err := os.OpenFile(partOf(file), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("cannot make export: %w", err)
	}
	return x.run(ctx, file, f, &exportState{Parameters: q})
}

func (x *exporter) resume(ctx context.Context, file string) error {
	text, err := os.ReadFile(stateOf(file))
	if err != nil {
		return fail(exitUsage, "there is no begun export to %q: %w", file, err)
	}
	var s exportState
	if err := json.Unmarshal(text, &s); err != nil {
		return fmt.Errorf("cannot read state %q: %w", stateOf(file), err)
	}
	f, err := os.OpenFile(partOf(file), os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("cannot take up export: %w", err)
	}
	if st, err := f.Stat(); err != nil || st.Size() < s.Bytes {
		return errors.Join(fmt.Errorf("cannot take up export %q: it holds less than its state says", file), err, f.Close())
	}
	return x.run(ctx, file, f, &s)
}

// run fetches page after page into f, and closes it. A page that fails is taken back and tried again.
func (x *exporter) run(ctx context.Context, file string, f *os.File, s *exportState) error {
	defer f.Close()
	if x.progress != io.Discard {
		var n struct{ Count int64 }
		about := url.Values{"query": s.Parameters["query"], "start": s.Parameters["start"], "end": s.Parameters["end"]}
		if x.cl.call(ctx, "GET", "/api/v1/count", about, nil, &n) == nil { // only for show
			x.total = n.Count
		}
		defer fmt.Fprintln(x.progress)
	}
	if err := x.save(file, s); err != nil {
		return err
	}
	for failed := 0; ; {
		if err := errors.Join(f.Truncate(s.Bytes), seek(f, s.Bytes)); err != nil {
			return fmt.Errorf("cannot write export: %w", err)
		}
		q := url.Values{"limit": {fmt.Sprint(x.page)}}
		for k, v := range s.Parameters {
			q[k] = v
		}
		if s.Cursor != "" {
			q.Set("cursor", s.Cursor)
		}
		cursor, bytes, lines, err := x.fetch(ctx, q, f, s.Lines)
		var e *exitError
		if err != nil && ctx.Err() == nil && !(errors.As(err, &e) && (e.code == exitUsage || e.code == exitAccess)) {
			if failed++; failed < exportTries {
				select {
				case <-time.After(x.pause << (failed - 1)):
				case <-ctx.Done():
				}
				continue
			}
		}
		if err != nil {
			return fail(exitPartial, "the export is not complete: %w\ntake it up again with: tally export --resume --file %s", err, file)
		}
		failed = 0
		s.Cursor, s.Bytes, s.Lines = cursor, s.Bytes+bytes, s.Lines+lines
		if err := f.Sync(); err != nil {
			return fmt.Errorf("cannot write export: %w", err)
		}
		if cursor == "" {
			if err := os.Rename(partOf(file), file); err != nil {
				return fmt.Errorf("cannot finish export: %w", err)
			}
			return os.Remove(stateOf(file))
		}
		if err := x.save(file, s); err != nil {
			return err
		}
	}
}

func seek(f *os.File, at int64) error {
	_, err := f.Seek(at, io.SeekStart)
	return err
}

// save replaces the state.
func (x *exporter) save(file string, s *exportState) error {
	text, err := json.Marshal(s)
	if err == nil {
		err = durable.Replace(stateOf(file), text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("cannot note the state of the export: %w", err)
	}
	return nil
}

// fetch writes one answer to w. Where the server ended it early but tells how far it came, that is a shorter page.
func (x *exporter) fetch(ctx context.Context, q url.Values, w io.Writer, before int64) (cursor string, bytes, lines int64, err error) {
	q.Set("on_error", "trailer")
	resp, err := x.cl.do(ctx, "GET", "/api/v1/export", q, nil, nil)
	if err != nil {
		return "", 0, 0, err
	}
	defer resp.Body.Close()
	counted := &lineCounter{w: w, x: x, lines: before}
	n, err := io.Copy(counted, resp.Body)
	if err != nil {
		return "", 0, 0, fail(exitPartial, "the export is partial: %w", err)
	}
	cursor = resp.Trailer.Get("Tally-Cursor")
	if msg := resp.Trailer.Get("Tally-Error"); msg != "" && (cursor == "" || cursor == q.Get("cursor")) {
		return "", 0, 0, fail(exitPartial, "the export is partial: %s", msg)
	}
	counted.show()
	return cursor, n, counted.lines - before, nil
}

// lineCounter shows how far an export is.
type lineCounter struct {
	w     io.Writer
	x     *exporter
	lines int64
	shown time.Time
}

func (c *lineCounter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.lines += int64(bytes.Count(p[:n], []byte("\n")))
	if time.Since(c.shown) > 200*time.Millisecond {
		c.show()
	}
	return n, err
}

func (c *lineCounter) show() {
	c.shown = time.Now()
	of := ""
	if c.x.total > 0 {
		of = fmt.Sprintf(" of %d, %d%%", c.x.total, min(100, c.lines*100/c.x.total))
	}
	fmt.Fprintf(c.x.progress, "\r%d lines%s ", c.lines, of)
}
