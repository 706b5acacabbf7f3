package journald

import "slices"

// Reasons why sequence numbers do not come; those of the contract, and Skipped.
const (
	// Vacuumed: no existing file has the numbers.
	Vacuumed = "vacuumed"
	// Corrupt: a file has, or had, the numbers but cannot be read there.
	Corrupt = "corrupt"
	// Skipped: passed over deliberately, and not adjacent to any event that could carry the count.
	Skipped = "skipped"
)

// Range is a part of a source that no event will ever cover.
type Range struct {
	Source   string
	From, To int64 // half-open, sequence numbers
	Reason   string
	Skipped  int64 // units right before From that were passed over deliberately and are in no event's position
}

// segment is a part of a gap; reason is empty for numbers that are passed over because nothing says they were entries.
type segment struct {
	from, to uint64
	reason   string
}

// explain tells why the numbers [lo, hi) did not come though the entry hi did. wanted are the files that are read, others
// files of the same journal that are not (a user's journal beside the system's single file), bad tells which of the wanted
// cannot be read.
//
// A number that no file's span covers is lost: vacuumed. One that a span covers is lost, too (corrupt), if its file cannot
// be read or holds as many entries as its span has numbers, or if all files together do and all are read. Otherwise it was
// never given to an entry of these files: journald numbers the entries of all its files in one sequence, and burns a
// number when a write fails.
func explain(lo, hi uint64, wanted, others []*file, bad func(*file) bool) []segment {
	whole := len(others) == 0 && denseTogether(wanted)
	bounds := []uint64{lo, hi}
	for _, f := range slices.Concat(wanted, others) {
		if f.entries == 0 {
			continue
		}
		for _, b := range []uint64{f.head, f.tail + 1} {
			if lo < b && b < hi {
				bounds = append(bounds, b)
			}
		}
	}
	slices.Sort(bounds)
	var out []segment
	for i, from := range bounds[:len(bounds)-1] {
		to := bounds[i+1]
		if from == to {
			continue
		}
		reason := Vacuumed
		for _, f := range wanted {
			if !f.covers(from) {
				continue
			}
			if bad(f) || whole || f.dense() {
				reason = Corrupt
				break
			}
			reason = ""
		}
		for _, f := range others {
			if f.covers(from) && reason == Vacuumed {
				reason = ""
			}
		}
		if n := len(out); n > 0 && out[n-1].reason == reason {
			out[n-1].to = to
		} else {
			out = append(out, segment{from, to, reason})
		}
	}
	return out
}

// denseTogether tells that the files, in order of their heads, hold every number from the first to the last.
func denseTogether(files []*file) bool {
	var entries, first, end uint64
	for _, f := range files {
		if f.entries == 0 {
			continue
		}
		if first == 0 {
			first, end = f.head, f.head
		}
		if f.head > end {
			return false
		}
		entries += f.entries
		end = max(end, f.tail+1)
	}
	return first != 0 && entries == end-first
}
