package server

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tallylog/tally/test/client"
)

func TestExport(t *testing.T) {
	r := run(t, t.TempDir())
	r.push(numbered(0, 12_000))
	r.push(`{"message":"a \"quoted\", text\nof two lines; 失败","level":"odd"}` + "\n")
	r.count("*", 12_001)

	code, whole, resp := r.do("GET", "/api/v1/export?order=asc", "", "Accept-Encoding", "identity")
	if code != 200 || strings.Count(whole, "\n") != 12_001 || resp.Trailer.Get("Tally-Cursor") != "" || resp.Header.Get("Content-Encoding") != "" {
		t.Fatalf("%d, %d lines, trailers %v", code, strings.Count(whole, "\n"), resp.Trailer)
	}
	if d := resp.Header.Get("Content-Disposition"); !strings.HasPrefix(d, `attachment; filename="tally-`) || !strings.HasSuffix(d, `.ndjson"`) {
		t.Errorf("Content-Disposition %q", d)
	}
	for name, header := range map[string][]string{"&gzip=true": {"Accept-Encoding", "identity"}, "": {"Accept-Encoding", "br, gzip;q=0.5"}} {
		_, packed, resp := r.do("GET", "/api/v1/export?order=asc"+name, "", header...)
		z, err := gzip.NewReader(strings.NewReader(packed))
		if err != nil || resp.Header.Get("Content-Encoding") != "gzip" {
			t.Fatalf("%q: %v, %v", name, err, resp.Header)
		}
		if plain, err := io.ReadAll(z); err != nil || string(plain) != whole || len(packed) > len(whole)/4 {
			t.Errorf("%q: %d bytes packed, %d of %d plain, %v", name, len(packed), len(plain), len(whole), err)
		}
	}
	for name, header := range map[string][]string{"&gzip=false": {"Accept-Encoding", "gzip"}, "": {"Accept-Encoding", "gzip;q=0"}} {
		if _, plain, _ := r.do("GET", "/api/v1/export?order=asc"+name, "", header...); plain != whole {
			t.Errorf("%q: %d bytes, want %d plain ones", name, len(plain), len(whole))
		}
	}

	// In pieces it is the same.
	var pieces, table strings.Builder
	for cursor, n := "", 0; n == 0 || cursor != ""; n++ {
		_, piece, resp := r.do("GET", "/api/v1/export?order=asc&limit=5000&cursor="+url.QueryEscape(cursor), "")
		_, rows, _ := r.do("GET", "/api/v1/export?order=asc&limit=5000&format=csv&fields=n,message,@timestamp,_id,missing&cursor="+url.QueryEscape(cursor), "")
		pieces.WriteString(piece)
		table.WriteString(rows)
		cursor = resp.Trailer.Get("Tally-Cursor")
	}
	if pieces.String() != whole {
		t.Errorf("in pieces it has %d bytes, want %d", pieces.Len(), len(whole))
	}
	records, err := csv.NewReader(strings.NewReader(table.String())).ReadAll()
	if err != nil || len(records) != 12_002 || fmt.Sprint(records[0]) != "[n message @timestamp _id missing]" {
		t.Fatalf("%d records, %v, %q", len(records), err, records[0])
	}
	if last := records[12_001]; last[1] != "a \"quoted\", text\nof two lines; 失败" || last[0] != "" || last[4] != "" || last[3] == "" {
		t.Errorf("the last record is %q", last)
	}
	if _, lines, _ := r.do("GET", "/api/v1/export?format=csv&fields=n&query=level:odd", ""); lines != "n\n\"\"\n" {
		t.Errorf("an empty value alone in its line: %q", lines)
	}
}

// TestGeneratedClient pushes, asks and counts with the client that is generated from openapi.json.
func TestGeneratedClient(t *testing.T) {
	r := run(t, t.TempDir())
	ctx := t.Context()
	c, err := client.NewClientWithResponses(r.url, client.WithRequestEditorFn(func(_ context.Context, req *http.Request) error {
		req.SetBasicAuth("admin", password)
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	source, from := "generated", int64(0)
	pushed, err := c.PushWithBodyWithResponse(ctx, &client.PushParams{TallySource: &source, TallyFrom: &from}, "application/x-ndjson", bytes.NewBufferString(numbered(0, 20)))
	if err != nil || pushed.JSON200 == nil || pushed.JSON200.Accepted != 20 {
		t.Fatalf("push: %v %s", err, pushed.Body)
	}
	r.count("*", 20)
	query := "level:error"
	counted, err := c.CountWithResponse(ctx, &client.CountParams{Query: &query})
	if err != nil || counted.JSON200 == nil || counted.JSON200.Count != 10 {
		t.Errorf("count: %v %s", err, counted.Body)
	}
	limit, fields := int64(3), []string{"n", "level"}
	found, err := c.QueryWithResponse(ctx, &client.QueryParams{Query: &query, Limit: &limit, Fields: &fields})
	if err != nil || found.StatusCode() != 200 || bytes.Count(found.Body, []byte("\n")) != 3 || !bytes.Contains(found.Body, []byte(`"level":"error"`)) || bytes.Contains(found.Body, []byte("kubernetes")) {
		t.Errorf("query: %v %s", err, found.Body)
	}
	byForm, err := c.QueryByPostWithFormdataBodyWithResponse(ctx, client.QueryByPostFormdataRequestBody{Query: &query, Limit: &limit})
	if err != nil || bytes.Count(byForm.Body, []byte("\n")) != 3 {
		t.Errorf("query by form: %v %s", err, byForm.Body)
	}
	by := []string{"level", "kubernetes.namespace"}
	stats, err := c.StatsWithResponse(ctx, &client.StatsParams{By: &by})
	if err != nil || stats.JSON200 == nil || len(stats.JSON200.Rows) != 6 {
		t.Errorf("stats: %v %s", err, stats.Body)
	}
	zone := "Europe/Berlin"
	hits, err := c.HitsWithResponse(ctx, &client.HitsParams{Step: "1h", Tz: &zone})
	if err != nil || hits.JSON200 == nil || len(hits.JSON200.Hits) == 0 {
		t.Errorf("hits: %v %s", err, hits.Body)
	}
	sources, err := c.SourcesWithResponse(ctx, &client.SourcesParams{Name: &source})
	if err != nil || sources.JSON200 == nil || len(sources.JSON200.Sources) != 1 || fmt.Sprint(sources.JSON200.Sources[0].Ranges) != "[[0 20]]" {
		t.Errorf("sources: %v %s", err, sources.Body)
	}
	wrong := "a |"
	if refused, err := c.FormatQueryWithResponse(ctx, &client.FormatQueryParams{Query: &wrong}); err != nil || refused.JSON400 == nil || refused.JSON400.Error.Column == nil || *refused.JSON400.Error.Column != 3 {
		t.Errorf("format: %v %s", err, refused.Body)
	}
}
