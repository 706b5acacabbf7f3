package journald

import "time"

const (
	// tornWait is how long an entry without its message is read again before that is taken for damage.
	tornWait = time.Second
	// tornPause is how long after such damage the next is believed at once, so that a file with much of it is not read slowly.
	tornPause = 10 * time.Second
)

// torn is the entry that a source has seen in part. A writer makes an entry known before it has linked its fields (journal_file_link_entry in
// systemd's journal-file.c); libsystemd takes a field that it sees half linked for damaged and leaves it out. A moment later, or when the writer gets
// the processor again, the entry is whole.
type torn struct {
	seq      uint64
	since    time.Time
	believed time.Time // when an entry had stayed without its message
}

// again tells whether entry seq, of which the message is missing, is to be read once more by another reader.
func (t *torn) again(seq uint64, now time.Time) bool {
	if !t.believed.IsZero() && now.Sub(t.believed) < tornPause {
		return false
	}
	if t.seq != seq {
		t.seq, t.since = seq, now
	}
	if now.Sub(t.since) < tornWait {
		return true
	}
	t.believed = now
	return false
}
