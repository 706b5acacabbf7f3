package bulk

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"
)

// FuzzReader holds that whatever comes is read to its end or refused, that a document is the line as it stands in the body, and
// that each action line that is taken is JSON with one known action and an index.
func FuzzReader(f *testing.F) {
	f.Add([]byte("{\"index\":{\"_index\":\"i\",\"_id\":\"1\"}}\n{\"a\":1}\n"))
	f.Add([]byte("{\"delete\":{\"_index\":\"i\",\"_id\":\"1\"}}\n{\"create\":{}}\n{}\n\n"))
	f.Add([]byte("{\"index\":{\"op_type\":\"create\",\"_type\":null,\"version\":3}}\r\n\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := newReader(bytes.NewReader(in), "d", 1<<10)
		for read := 0; ; read++ {
			a, doc, tooLong, err := r.next()
			if err == io.EOF {
				return
			}
			if err != nil {
				var refusal *failure
				if !errors.As(err, &refusal) || refusal.status != 400 {
					t.Fatalf("%q: %v", in, err)
				}
				return
			}
			if read > len(in) {
				t.Fatalf("%q has no end", in)
			}
			switch a.op {
			case opCreate, opIndex, opUpdate:
				if !tooLong && !bytes.Contains(in, doc) {
					t.Fatalf("%q: the document %q is not in it", in, doc)
				}
			case opDelete:
			default:
				t.Fatalf("%q: action %q", in, a.op)
			}
			if len(a.index) == 0 || !json.Valid(bytes.ToValidUTF8(bytes.TrimSpace(r.action), nil)) {
				t.Fatalf("%q: took %q with index %q", in, r.action, a.index)
			}
		}
	})
}
