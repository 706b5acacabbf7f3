package applog

import (
	"slices"

	"github.com/elastic/beats/v7/libbeat/common"
)

// cover knows which bytes the units of a turn stand for.
type cover struct {
	read    int64 // where the buffer begins
	shipped int64 // where the last unit ends that was not dropped
	units   []unit
	dropped []bool // by processors
	mixed   bool   // there are units with others inside
}

func newCover(read, shipped int64, units []unit) cover {
	return cover{
		read: read, shipped: shipped, units: units, dropped: make([]bool, len(units)),
		mixed: slices.ContainsFunc(units, func(u unit) bool { return len(u.pieces) > 1 }) ||
			!slices.IsSortedFunc(units, func(a, b unit) int { return a.from - b.from }),
	}
}

func (c *cover) published(i int, dropped bool) {
	c.dropped[i] = dropped
	if !dropped && !c.mixed {
		c.shipped = c.read + int64(c.units[i].to)
	}
}

// untold are those ranges of unit i, and of what was skipped before it, behind which something was shipped already. Should the unit be
// dropped, no event that comes tells that they were skipped.
func (c *cover) untold(i int, ranges, lost [][2]int) (out [][2]int) {
	reach := 0
	for j := range i {
		if !c.dropped[j] {
			reach = max(reach, c.units[j].to)
		}
	}
	u := &c.units[i]
	for _, r := range slices.Concat([][2]int{{u.from - int(c.skipped(i)), u.from}}, ranges, lost) {
		if r[0] < reach {
			out = append(out, r)
		}
	}
	return out
}

// shares are the bytes of the buffer that unit i stands for: what lies within it and belongs to no other event. The last cut bytes of
// them are lost, but never all.
func (c *cover) shares(i, cut int) (ranges, lost [][2]int) {
	u := &c.units[i]
	var others [][2]int
	for j := range c.units {
		if o := &c.units[j]; c.mixed && j != i && !c.dropped[j] {
			for _, p := range o.pieces {
				if p[0] >= u.from && p[1] <= u.to {
					others = append(others, p)
				}
			}
		}
	}
	slices.SortFunc(others, func(a, b [2]int) int { return a[0] - b[0] })
	at := u.from
	for _, p := range others {
		if p[0] > at {
			ranges = append(ranges, [2]int{at, p[0]})
		}
		at = p[1]
	}
	ranges = append(ranges, [2]int{at, u.to})
	for cut > 0 {
		last := &ranges[len(ranges)-1]
		if n := last[1] - last[0]; n > cut || len(ranges) == 1 {
			cut = min(cut, n-1)
			lost = append(lost, [2]int{last[1] - cut, last[1]})
			last[1] -= cut
			break
		}
		lost, cut = append(lost, *last), cut-(last[1]-last[0])
		ranges = ranges[:len(ranges)-1]
	}
	return ranges, lost
}

// inFile are ranges of the buffer as those of the file.
func (c *cover) inFile(ranges [][2]int) (out [][2]int64) {
	for _, r := range ranges {
		if r[0] < r[1] {
			out = append(out, [2]int64{c.read + int64(r[0]), c.read + int64(r[1])})
		}
	}
	return out
}

// skipped is how much right before unit i belongs to none.
func (c *cover) skipped(i int) int64 {
	u := &c.units[i]
	before := c.shipped - c.read
	for j := range c.units {
		if !c.mixed || j == i || c.dropped[j] {
			continue
		}
		for _, p := range c.units[j].pieces {
			if p[1] <= u.from {
				before = max(before, int64(p[1]))
			}
		}
	}
	return max(0, int64(u.from)-before)
}

// position is @metadata.tally of unit i but for source and sum.
func (c *cover) position(i int, ranges [][2]int) common.MapStr {
	m := common.MapStr{
		"from": c.read + int64(c.units[i].from), "to": c.read + int64(ranges[len(ranges)-1][1]), "skipped": c.skipped(i),
	}
	if len(ranges) > 1 {
		list := make([]interface{}, len(ranges))
		for k, r := range c.inFile(ranges) {
			list[k] = []interface{}{r[0], r[1]}
		}
		m["ranges"] = list
	}
	return m
}
