package limit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"

	"github.com/tallylog/tally/internal/durable"
)

// file is the format of Options.File: JSON, rewritten as a whole.
type file struct {
	Day   string           `json:"day"`   // UTC, 2006-01-02
	Bytes map[string]int64 `json:"bytes"` // by the name of the tenant
}

func (l *Limiter) load() error {
	if l.o.File == "" {
		return nil
	}
	text, err := os.ReadFile(l.o.File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read the use of the day: %w", err)
	}
	var f file
	if err := json.Unmarshal(text, &f); err != nil {
		return fmt.Errorf("cannot read the use of the day in %q: %w", l.o.File, err)
	}
	l.keptDay, l.kept = f.Day, f.Bytes
	return nil
}

// Save writes the use of the day, if it has changed.
func (l *Limiter) Save() error {
	l.saving.Lock()
	defer l.saving.Unlock()
	now := l.o.Now()
	l.mu.Lock()
	if !l.dirty || l.o.File == "" {
		l.mu.Unlock()
		return nil
	}
	l.dirty = false
	f := file{Day: dayOf(now), Bytes: map[string]int64{}}
	if l.keptDay == f.Day {
		maps.Copy(f.Bytes, l.kept) // of tenants that have not sent anything since the start
	}
	for tenant := range l.tenants {
		a := l.account(tenant, now)
		f.Bytes[a.name] = a.today
	}
	l.mu.Unlock()
	text, err := json.Marshal(f)
	if err == nil {
		err = durable.Replace(l.o.File, text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("cannot write the use of the day: %w", err)
	}
	return nil
}
