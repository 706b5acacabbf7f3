package journald

// holds knows which entries of a source are read and not shipped, now and at every moment since the position that was stored
// last. With many streams to join, nearly every event has an entry of each of them held beside it; so an event only takes the
// number of the moment with it.
type holds struct {
	version uint64 // counts changes
	all     []*held
	now     map[uint64]*held
}

// held is an entry that is held in the versions from and up to, not including, to; to is 0 while it is held.
type held struct {
	piece
	from, to uint64
}

func (h *holds) add(p piece) {
	if h.now[p.Seq] != nil {
		return
	}
	if h.now == nil {
		h.now = map[uint64]*held{}
	}
	h.version++
	e := &held{p, h.version, 0}
	h.now[p.Seq] = e
	h.all = append(h.all, e)
}

func (h *holds) remove(seq uint64) {
	if e := h.now[seq]; e != nil {
		h.version++
		e.to = h.version
		delete(h.now, seq)
	}
}

func (h *holds) removeAll() {
	for seq := range h.now {
		h.remove(seq)
	}
}

// at returns what was held in a version, nil for nothing, and forgets what was not held since. Versions are asked for in order.
func (h *holds) at(version uint64) (out []piece) {
	kept := h.all[:0]
	for _, e := range h.all {
		if e.to != 0 && e.to <= version {
			continue
		}
		kept = append(kept, e)
		if e.from <= version {
			out = append(out, e.piece)
		}
	}
	clear(h.all[len(kept):])
	h.all = kept
	return out
}
