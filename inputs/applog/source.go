package applog

import (
	"os"
	"slices"
	"strings"
	"time"

	"github.com/elastic/beats/v7/libbeat/common"
)

// source is one incarnation of a file.
type source struct {
	worker *worker
	name   any // rec.Source and rec.Path, boxed once for all events
	path   any
	pod    common.MapStr // fields from the path of a pod's directory; nil for other files
	format format

	// These belong to the worker while busy is set, to the discoverer while it is not.
	read     int64  // everything before it was read
	sum      uint64 // hash of the windowLen bytes before read
	shipped  int64  // end of the last event published that no processor dropped
	scanned  int64  // there is no newline in [read, scanned)
	reported string // the last error said
	want     int    // how much the next turn reads, where a slice was not enough; 0 for a slice
	atEnd    bool   // the last turn read and shipped all there is

	// These are guarded by Input.mu. Source, Path, Inode, Born, Head, HeadLen, Inc of rec never change.
	rec     record
	file    *os.File  // what it is read from: the handle's file, or its own for a copy; nil while there is none
	rest    bool      // file is a copy: its end is the end of the source
	busy    bool      // in the worker's queue, or in a turn
	again   bool      // woken during a turn
	flush   flushing  // what the next turn ships though it may not be complete
	partial time.Time // since when half a line stands at the end; zero if none does
	halfEnd int64     // where that half line ends
	turns   []*turn   // published, not all acknowledged; in order
	reached int64     // end of the events that are acknowledged, which may lie behind rec.Offset
	telling bool      // in the teller's queue, or told and not acknowledged
	// The last of rec's TooLong and Skips, of an event that is being published.
	unsureCuts, unsureSkips int

	// These belong to the discoverer.
	handle   *handle
	orphan   time.Time // since when it has no file of its own; zero before that
	searched time.Time // when its rest was last looked for
	fresh    bool      // loaded from the registry, and not read since
	foreign  bool      // another input has it
	why      string    // what has become of its file
}

// flushing says what is shipped though more of it may come.
type flushing int

const (
	flushNone  flushing = iota
	flushEvent          // an event of whole lines, which others may join
	flushAll            // half a line too
)

// turn is what one turn of a worker published of one source. It is the Private of each of its events.
type turn struct {
	source  *source
	ends    []int64 // the end of each event, negative once a processor has dropped it
	tos     []int64 // where the events end, where ends are the offsets that are safe with them; nil for ends
	acked   int
	from    int64 // where the turn began, with the hash of its window: good to check all its offsets by
	fromSum uint64
	to      int64
	toSum   uint64
}

func newSource(rec record, w *worker) *source {
	s := &source{worker: w, rec: rec, read: rec.Offset, shipped: rec.Shipped, sum: rec.Sum, reached: rec.Shipped}
	s.name, s.path, s.pod = rec.Source, rec.Path, podFields(rec.Path)
	return s
}

// ack notes that the next event of a turn is acknowledged. The caller holds Input.mu.
func (t *turn) ack() {
	r := &t.source.rec
	end := t.ends[t.acked]
	if end < 0 {
		r.Offset = -end
	} else {
		r.Offset = end
		if t.tos != nil {
			end = t.tos[t.acked]
		}
		t.source.reached = max(t.source.reached, end)
	}
	t.acked++
	r.Shipped = min(r.Offset, t.source.reached)
	r.Anchor, r.Sum = t.from, t.fromSum
}

// settle drops the turns whose events are all acknowledged and returns the bytes they had in flight. What such a turn had
// read and not shipped counts as done with it. The caller holds Input.mu.
func (s *source) settle() (bytes int64) {
	for len(s.turns) > 0 && s.turns[0].acked == len(s.turns[0].ends) {
		t := s.turns[0]
		s.turns[0] = nil
		s.turns = s.turns[1:]
		if t.to >= s.rec.Offset { // else events of a later turn were acknowledged in the same call
			s.rec.Offset, s.rec.Anchor, s.rec.Sum = t.to, t.to, t.toSum
		}
		bytes += t.to - t.from
	}
	if len(s.turns) == 0 {
		s.turns = nil
	}
	s.rec.Cuts = slices.DeleteFunc(s.rec.Cuts, func(c int64) bool { return c <= s.rec.Offset })
	if len(s.rec.Cuts) == 0 {
		s.rec.Cuts = nil
	}
	return bytes
}

// podFields reads what the path of a pod's log directory says:
// /…/<pod UID>/volumes/kubernetes.io~empty-dir/applog-<service UUID>-endname-<title>/x.log
func podFields(path string) common.MapStr {
	segs := strings.Split(path, "/")
	if f := containerFields(segs); f != nil {
		return f
	}
	for i := len(segs) - 2; i >= 3; i-- {
		name, ok := strings.CutPrefix(segs[i], "applog-")
		if !ok || segs[i-1] != "kubernetes.io~empty-dir" || segs[i-2] != "volumes" {
			continue
		}
		out := common.MapStr{"kubernetes": common.MapStr{"pod": common.MapStr{"uid": segs[i-3]}}}
		service, title, ok := strings.Cut(name, "-endname-")
		if service != "" {
			out["service"] = common.MapStr{"id": service}
		}
		if ok && title != "" {
			out["applog"] = common.MapStr{"title": title}
		}
		return out
	}
	return nil
}

// containerFields reads what kubelet's and docker's names of container log files say:
// /var/log/containers/<pod>_<namespace>_<container>-<64 hex digits>.log, /var/log/pods/<namespace>_<pod>_<uid>/<container>/<n>.log,
// /var/lib/docker/containers/<id>/<id>-json.log. None of the names but a container's id may hold an underscore.
func containerFields(segs []string) common.MapStr {
	n := len(segs)
	if n < 3 {
		return nil
	}
	dir, file := segs[n-2], segs[n-1]
	kubernetes := func(pod, namespace, container string) common.MapStr {
		return common.MapStr{
			"pod": common.MapStr{"name": pod}, "namespace": namespace, "container": common.MapStr{"name": container},
		}
	}
	stem, isLog := strings.CutSuffix(file, ".log")
	switch {
	case dir == "containers" && isLog:
		parts := strings.Split(stem, "_")
		if len(parts) != 3 {
			return nil
		}
		dash := strings.LastIndexByte(parts[2], '-')
		if dash < 1 || !isContainerID(parts[2][dash+1:]) {
			return nil
		}
		return common.MapStr{
			"kubernetes": kubernetes(parts[0], parts[1], parts[2][:dash]), "container": common.MapStr{"id": parts[2][dash+1:]},
		}
	case n >= 4 && segs[n-4] == "pods":
		parts := strings.Split(segs[n-3], "_")
		if len(parts) != 3 {
			return nil
		}
		k := kubernetes(parts[1], parts[0], dir)
		k["pod"].(common.MapStr)["uid"] = parts[2]
		return common.MapStr{"kubernetes": k}
	case segs[n-3] == "containers" && isContainerID(dir):
		return common.MapStr{"container": common.MapStr{"id": dir}}
	}
	return nil
}

func isContainerID(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}
