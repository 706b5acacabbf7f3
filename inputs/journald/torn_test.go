package journald

import (
	"bytes"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/elastic/beats/v7/libbeat/common"
)

// halfLinked is a reader to which the message of one entry is hidden, as by a writer that is not done with the entry.
type halfLinked struct {
	reader
	message string
	hidden  *atomic.Int64 // how often it is still hidden
}

func (r *halfLinked) read() ([]byte, error) {
	b, err := r.reader.read()
	if i := bytes.Index(b, []byte(r.message)); i >= 0 && r.hidden.Add(-1) >= 0 {
		b = bytes.Clone(b)
		copy(b[i:], "MESSAGX=")
	}
	return b, err
}

// TestHalfLinked: an entry that is read while it is written comes whole a moment later; one that stays as it is is lost, and what is behind it comes.
func TestHalfLinked(t *testing.T) {
	f := func(times int64, lost int) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "system.journal")
		new(export).lines(20).write(t, path)
		var hidden atomic.Int64
		hidden.Store(times)
		r := start(t, common.MapStr{"paths": []string{path}}, setup{open: func(files []string, at place) (reader, error) {
			in, err := openFiles(files, at)
			return &halfLinked{in, "MESSAGE=line 12", &hidden}, err
		}})
		events := r.wait(t, 20-lost)
		r.stop(t)
		if len(events) != 20-lost || len(r.lost) != lost {
			t.Errorf("hidden %d times: %d events, %d ranges are lost", times, len(events), len(r.lost))
		}
		if lost == 0 {
			wantLines(t, events, 0, 20, 1)
		} else if l := <-r.lost; l.From != 13 || l.To != 14 || l.Reason != Corrupt {
			t.Errorf("lost %+v", l)
		}
	}
	f(1, 0)
	f(3, 0)
	f(1<<40, 1)
}

func TestTorn(t *testing.T) {
	var x torn
	now := time.Unix(1000, 0)
	f := func(seq uint64, after time.Duration, want bool) {
		t.Helper()
		now = now.Add(after)
		if got := x.again(seq, now); got != want {
			t.Errorf("entry %d at %v: %v", seq, now, got)
		}
	}
	f(5, 0, true)
	f(5, tornWait-1, true)
	f(7, 0, true) // the other came whole
	f(7, tornWait, false)
	f(8, 1, false)
	f(9, tornPause, true)
}
