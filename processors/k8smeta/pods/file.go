package pods

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tallylog/tally/internal/durable"
)

const (
	magic   = "tally-pods 1"
	maxFile = 256 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Keep writes changes to the file until ctx ends, and then once more.
func (s *Store) Keep(ctx context.Context) {
	if s.o.File == "" {
		return
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	saved, failed := 0, false
	for open := true; open; {
		select {
		case <-ctx.Done():
			open = false
		case <-tick.C:
		}
		n, err := s.save(saved)
		if err != nil && !failed {
			s.o.Warn("metadata of pods are not kept over a restart: %v", err)
		}
		saved, failed = n, err != nil
	}
}

// save writes the file unless it holds the state after so many changes, and returns the number of those that it holds now.
func (s *Store) save(saved int) (int, error) {
	s.mu.RLock()
	changes := s.changes
	if changes == saved {
		s.mu.RUnlock()
		return saved, nil
	}
	all := s.all()
	s.mu.RUnlock()
	text, err := json.Marshal(all)
	if err != nil {
		return saved, fmt.Errorf("cannot encode pods: %w", err)
	}
	if err := s.write(text); err != nil {
		return saved, fmt.Errorf("cannot write %q: %w", s.o.File, err)
	}
	return changes, nil
}

func (s *Store) write(text []byte) error {
	if err := os.MkdirAll(filepath.Dir(s.o.File), 0o750); err != nil {
		return err
	}
	head := fmt.Sprintf("%s %08x %d\n", magic, crc32.Checksum(text, castagnoli), len(text))
	return durable.Replace(s.o.File, append([]byte(head), text...), 0o600)
}

// load reads the file. What is damaged is discarded.
func (s *Store) load() []*Pod {
	if s.o.File == "" {
		return nil
	}
	info, err := os.Stat(s.o.File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var text []byte
	if err == nil && info.Size() > maxFile {
		err = fmt.Errorf("it has %d bytes", info.Size())
	}
	if err == nil {
		text, err = os.ReadFile(s.o.File)
	}
	var all []*Pod
	if err == nil {
		all, err = decode(text)
	}
	if err != nil {
		s.o.Warn("the file of pods %q is discarded: %v", s.o.File, err)
		return nil
	}
	return all
}

func decode(text []byte) ([]*Pod, error) {
	head, body, _ := bytes.Cut(text, []byte("\n"))
	if want := fmt.Sprintf("%s %08x %d", magic, crc32.Checksum(body, castagnoli), len(body)); string(head) != want {
		return nil, fmt.Errorf("corrupt: it begins with %.60q, its content wants %q", head, want)
	}
	var all []*Pod
	if err := json.Unmarshal(body, &all); err != nil {
		return nil, fmt.Errorf("corrupt: %w", err)
	}
	for _, p := range all {
		if p == nil || p.UID == "" {
			return nil, errors.New("corrupt: a pod has no UID")
		}
	}
	return all, nil
}
