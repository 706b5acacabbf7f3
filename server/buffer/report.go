package buffer

import (
	"fmt"
	"os"
	"syscall"
)

// SeqRange is a range of sequence numbers, both ends included, whose records are gone.
type SeqRange struct {
	First, Last uint64
	// Segment is the file they were in, or would have begun.
	Segment string
	Reason  string
	// Known: an earlier Open or Repair found the damage and marked it.
	Known bool
}

// Damage is a place in a segment that is not as it was written, and that no crash leaves.
type Damage struct {
	Segment        string
	Offset, Length int64 // bytes
	// First and Last are the sequence numbers lost by it, both included; none if Last < First or First is 0.
	First, Last uint64
	Reason      string
}

func (d Damage) String() string {
	s := fmt.Sprintf("%s: %d bytes at offset %d: %s", d.Segment, d.Length, d.Offset, d.Reason)
	if d.First > 0 && d.Last >= d.First {
		return fmt.Sprintf("%s; sequence numbers %d to %d are lost", s, d.First, d.Last)
	}
	return s + "; no record is lost"
}

// Report is what Check and Repair found.
type Report struct {
	Segments int
	Records  int64
	Bytes    int64
	// Damage is what was found now; Lost holds also what earlier repairs marked.
	Damage []Damage
	Lost   []SeqRange
	// Notes tell of what is not damage: a torn tail, a segment that was never used.
	Notes []string
	// Done tells, one sentence each, what Repair did.
	Done []string
}

// Clean tells whether there was no damage.
func (r *Report) Clean() bool { return len(r.Damage) == 0 }

// report tells what the scan found.
func (s *scan) report() Report {
	r := Report{Segments: len(s.segs), Records: s.records, Lost: s.lost}
	for _, seg := range s.segs {
		r.Bytes += seg.size
	}
	for i := range s.findings {
		f := &s.findings[i]
		if f.harmless {
			r.Notes = append(r.Notes, fmt.Sprintf("%s: %d bytes at offset %d: %s", f.Segment, f.Length, f.Offset, f.Reason))
		} else {
			r.Damage = append(r.Damage, f.Damage)
		}
	}
	return r
}

// Hold keeps servers from the log in dir until release is called. While a server has it open it returns ErrLocked.
func Hold(dir string) (release func() error, err error) {
	lock, err := lockDir(dir, syscall.LOCK_EX)
	if err != nil {
		return nil, err
	}
	return lock.Close, nil
}

// First is the lowest sequence number that the segments in dir can hold; ok is false where there are none.
func First(dir string) (seq uint64, ok bool, err error) {
	firsts, err := list(dir)
	if err != nil || len(firsts) == 0 {
		return 0, false, err
	}
	return firsts[0], true, nil
}

// Check reads the log in dir and changes nothing. While a server has the log open it returns ErrLocked.
func Check(dir string) (Report, error) {
	lock, err := lockDir(dir, syscall.LOCK_SH)
	if err != nil {
		return Report{}, err
	}
	if lock != nil {
		defer lock.Close()
	}
	s, err := scanDir(dir)
	if err != nil {
		return Report{}, err
	}
	return s.report(), nil
}

// Repair copies damaged bytes to dir/quarantine, files named <segment>.<offset>, and marks in their place which sequence
// numbers are lost: a Check that follows is clean, and its Lost still names them. It also cuts a torn tail. Open does the
// same by itself. While a server has the log open it returns ErrLocked.
func Repair(dir string) (Report, error) {
	if _, err := os.Stat(dir); err != nil {
		return Report{}, fmt.Errorf("cannot repair buffer: %w", err)
	}
	lock, err := lockDir(dir, syscall.LOCK_EX)
	if err != nil {
		return Report{}, err
	}
	defer lock.Close()
	s, err := scanDir(dir)
	if err != nil {
		return Report{}, err
	}
	r := s.report()
	r.Done, err = s.mend()
	return r, err
}
