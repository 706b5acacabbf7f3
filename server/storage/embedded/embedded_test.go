package embedded

import (
	"log/slog"
	"testing"
	"time"

	"github.com/tallylog/tally/server/storage"
	"github.com/tallylog/tally/server/storage/storagetest"
)

var silent = slog.New(slog.DiscardHandler)

func TestStore(t *testing.T) { storagetest.Run(t, open) }

func open(t *testing.T, dir string, after uint64) storage.Store {
	s, err := Open(dir, Options{After: after, Retention: 30 * 24 * time.Hour, Log: silent})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
