package admit

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"

	"github.com/tallylog/tally/internal/durable"
	"github.com/tallylog/tally/internal/failpoint"
	"github.com/tallylog/tally/ledger"
)

// The files of a checkpoint; FORMAT.md has the layout. The older one is kept until the next, so that one unreadable file
// does not cost the account.
const (
	checkpointFile  = "checkpoint"
	checkpointOlder = "checkpoint.1"
	checkpointMagic = "TALLYCP3"
	// Older versions are still read: the second has no filtered ranges, the first no attributes and agents either.
	checkpointSecond, checkpointFirst = "TALLYCP2", "TALLYCP1"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encodeCheckpoint writes the fed view of all accounts. The caller holds mu.
func encodeCheckpoint(seq uint64, accounts map[key]*account, agents map[key]status) []byte {
	own := make([]*account, 0, len(accounts))
	for _, a := range accounts {
		if a.elsewhere.Len() == 0 || max(a.fed.updated, a.now.updated) > 0 { // else it is known of other servers alone
			own = append(own, a)
		}
	}
	return encodeAccounts(seq, own, agents, fed)
}

// encodeAccounts writes one view of accounts. The caller holds mu.
func encodeAccounts(seq uint64, accounts []*account, agents map[key]status, view func(*account) *state) []byte {
	text := func(b []byte, t string) []byte { return append(binary.AppendUvarint(b, uint64(len(t))), t...) }
	b := append(make([]byte, 0, 1024), checkpointMagic...)
	b = binary.AppendUvarint(b, seq)
	b = binary.AppendUvarint(b, uint64(len(accounts)))
	for _, a := range accounts {
		s := view(a)
		b = binary.AppendUvarint(b, uint64(a.tenant))
		for _, t := range []string{a.client, a.source, s.name, s.attrs.Text()} {
			b = text(b, t)
		}
		b = s.stored.AppendBinary(b)
		b = s.skipped.AppendBinary(b)
		for _, list := range [][]loss{s.lost, s.filtered} {
			b = binary.AppendUvarint(b, uint64(len(list)))
			for _, l := range list {
				b = binary.AppendUvarint(b, uint64(l.From))
				b = binary.AppendUvarint(b, uint64(l.To))
				b = text(b, l.reason)
			}
		}
		// Refused events are in no record; the count as acknowledged is the only one there is.
		for _, n := range []int64{s.end, s.events, a.now.duplicates, s.conflicts, s.updated} {
			b = binary.AppendUvarint(b, uint64(n))
		}
	}
	// The newest status of an agent is the one that counts, whichever record it came with.
	b = binary.AppendUvarint(b, uint64(len(agents)))
	for _, k := range sortedKeys(agents) {
		s := agents[k]
		b = binary.AppendUvarint(b, uint64(k.tenant))
		b = text(text(text(b, k.client), k.source), s.text)
		b = binary.AppendUvarint(b, uint64(s.updated))
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

var errCheckpoint = errors.New("checkpoint is corrupt")

// decodeCheckpoint reads what encodeCheckpoint wrote, into both views.
func decodeCheckpoint(b []byte) (cp Checkpoint, err error) {
	if len(b) < len(checkpointMagic)+4 || crc32.Checksum(b[:len(b)-4], castagnoli) != binary.LittleEndian.Uint32(b[len(b)-4:]) {
		return cp, errCheckpoint
	}
	magic := string(b[:len(checkpointMagic)])
	if magic != checkpointMagic && magic != checkpointSecond && magic != checkpointFirst {
		return cp, errCheckpoint
	}
	r := reader{b: b[len(checkpointMagic) : len(b)-4]}
	cp = Checkpoint{Seq: r.uint(), accounts: make(map[key]*account), agents: make(map[key]status)}
	for range r.uint() {
		a := r.account(magic)
		if r.bad {
			return cp, errCheckpoint
		}
		cp.accounts[a.key] = a
	}
	if magic == checkpointFirst {
		return cp, nil
	}
	for range r.uint() {
		k := key{tenant: uint32(r.uint()), client: r.text(), source: r.text()}
		cp.agents[k] = status{r.text(), int64(r.uint())}
		if r.bad {
			return cp, errCheckpoint
		}
	}
	return cp, nil
}

func (r *reader) account(magic string) *account {
	a := newAccount(key{tenant: uint32(r.uint()), client: r.text(), source: r.text()})
	a.now.name = r.text()
	if magic != checkpointFirst {
		if t := r.text(); t != "" && json.Unmarshal([]byte(t), &a.now.attrs) != nil {
			r.bad = true
		}
	}
	a.now.stored, a.now.skipped = r.set(), r.set()
	a.now.lost = r.losses()
	if magic == checkpointMagic {
		a.now.filtered = r.losses()
	}
	for _, p := range []*int64{&a.now.end, &a.now.events, &a.now.duplicates, &a.now.conflicts, &a.now.updated} {
		*p = int64(r.uint())
	}
	a.fed = a.now
	a.fed.stored, a.fed.skipped = *a.now.stored.Clone(), *a.now.skipped.Clone()
	a.fed.lost = slices.Clone(a.now.lost)
	a.fed.filtered = slices.Clone(a.now.filtered)
	return a
}

func (r *reader) losses() (list []loss) {
	for range r.uint() {
		list = append(list, loss{ledger.Range{From: int64(r.uint()), To: int64(r.uint())}, r.text()})
		if r.bad {
			return nil
		}
	}
	return list
}

type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) text() string {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.bad = true
		return ""
	}
	t := string(r.b[:n])
	r.b = r.b[n:]
	return t
}

func (r *reader) set() ledger.Set {
	s, rest, err := ledger.DecodeSet(r.b)
	if err != nil {
		r.bad = true
		return ledger.Set{}
	}
	r.b = rest
	return *s
}

// writeCheckpoint replaces the checkpoint in dir; the one before stays as the older one.
func writeCheckpoint(dir string, b []byte) error {
	file := filepath.Join(dir, checkpointFile)
	f, err := os.OpenFile(file+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("cannot write checkpoint: %w", err)
	}
	failpoint.Here("checkpoint.created")
	_, err = f.Write(b)
	if err == nil {
		failpoint.Sync("checkpoint.written")
		err = f.Sync()
		failpoint.Here("checkpoint.synced")
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("cannot write checkpoint %q: %w", file, err)
	}
	if err := os.Rename(file, filepath.Join(dir, checkpointOlder)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot keep the older checkpoint: %w", err)
	}
	failpoint.Here("checkpoint.kept")
	if err := os.Rename(file+".tmp", file); err != nil {
		return fmt.Errorf("cannot replace checkpoint: %w", err)
	}
	failpoint.Here("checkpoint.renamed")
	return durable.SyncDir(dir)
}

// Checkpoint is what a directory's checkpoint files say; for fsck and for start.
type Checkpoint struct {
	Seq      uint64
	Previous uint64 // of the older file; 0 when there is none
	Damaged  []string
	accounts map[key]*account
	agents   map[key]status
}

// ReadCheckpoint reads the newest readable checkpoint of dir. A file that is there but unreadable is named in Damaged; when
// none is readable though one is there, the error says so.
func ReadCheckpoint(dir string) (Checkpoint, error) {
	var cp Checkpoint
	found := false
	for _, name := range []string{checkpointFile, checkpointOlder} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return cp, fmt.Errorf("cannot read checkpoint: %w", err)
		}
		read, err := decodeCheckpoint(b)
		switch {
		case err != nil:
			cp.Damaged = append(cp.Damaged, filepath.Join(dir, name))
		case !found:
			found, cp.Seq, cp.accounts, cp.agents = true, read.Seq, read.accounts, read.agents
		default:
			cp.Previous = read.Seq
		}
	}
	if !found && len(cp.Damaged) > 0 {
		return cp, fmt.Errorf("cannot read checkpoint %q: %w", cp.Damaged[0], errCheckpoint)
	}
	return cp, nil
}

// Save writes the accounts of a checkpoint to dir, as of the record seq.
func (c *Checkpoint) Save(dir string, seq uint64) error {
	return writeCheckpoint(dir, encodeCheckpoint(seq, c.accounts, c.agents))
}
