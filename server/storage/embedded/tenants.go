package embedded

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/logstorage"

	"github.com/tallylog/tally/internal/durable"
)

// tenants is the list of tenants that may have rows, because logstorage cannot name them. It is a file of one decimal
// number a line; a tenant is on disk before its first row is handed over.
type tenants struct {
	path string
	mu   sync.Mutex
	ids  []logstorage.TenantID // in ascending order
}

func (t *tenants) open(path string) error {
	t.path = path
	b, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("cannot read tenants %q: %w", path, err)
	}
	text := string(b)
	text = text[:strings.LastIndexByte(text, '\n')+1] // a torn last line has no rows yet
	for line := range strings.Lines(text) {
		n, err := strconv.ParseUint(strings.TrimSpace(line), 10, 32)
		if err != nil {
			return fmt.Errorf("cannot read tenants %q: %w", path, err)
		}
		t.insert(uint32(n))
	}
	if len(text) < len(b) {
		if err := os.Truncate(path, int64(len(text))); err != nil {
			return fmt.Errorf("cannot cut tenants %q: %w", path, err)
		}
	}
	return nil
}

func (t *tenants) insert(n uint32) {
	id := logstorage.TenantID{AccountID: n}
	i, found := slices.BinarySearchFunc(t.ids, id, compareTenants)
	if !found {
		t.ids = slices.Insert(t.ids, i, id)
	}
}

func compareTenants(a, b logstorage.TenantID) int {
	return int(int64(a.AccountID) - int64(b.AccountID))
}

// all returns every tenant; the slice is the caller's.
func (t *tenants) all() []logstorage.TenantID {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.ids)
}

// add makes sure that the tenant is on disk.
func (t *tenants) add(n uint32) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, found := slices.BinarySearchFunc(t.ids, logstorage.TenantID{AccountID: n}, compareTenants); found {
		return nil
	}
	if err := appendSynced(t.path, strconv.FormatUint(uint64(n), 10)+"\n"); err != nil {
		return fmt.Errorf("cannot note tenant %d: %w", n, err)
	}
	t.insert(n)
	return nil
}

// appendSynced appends to a file and makes it and its name durable. A write that failed halfway is cut off again.
func appendSynced(path, text string) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if _, err = f.WriteString(text); err == nil {
		err = f.Sync()
	}
	if err != nil {
		_ = f.Truncate(st.Size())
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}

// Tenants are the numbers of those that may have rows, in ascending order.
func (s *Store) Tenants() []uint32 {
	var all []uint32
	for _, t := range s.tenants.all() {
		all = append(all, t.AccountID)
	}
	return all
}
