package retention

import (
	"slices"
	"strings"
	"time"

	"github.com/tallylog/tally/server/storage"
)

// The reasons of a removal.
const (
	ReasonAge  = "age"
	ReasonSize = "size"
)

// Removal is a partition that is to be removed.
type Removal struct {
	storage.Partition
	Reason string
	At     time.Time // when; not after now: at once
}

// Plan lists the partitions that the limits of their classes remove until a time, soonest first. A class without a limit keeps all.
// By size the oldest days go until the class fits, as it is now: how it grows nobody knows.
func Plan(parts []storage.Partition, limits map[string]Limit, now, until time.Time) []Removal {
	var plan []Removal
	byClass := map[string][]storage.Partition{}
	for _, p := range parts {
		byClass[p.Class] = append(byClass[p.Class], p)
	}
	today := now.UTC().Format(time.DateOnly)
	for class, list := range byClass {
		limit := limits[class]
		slices.SortStableFunc(list, func(a, b storage.Partition) int { return strings.Compare(b.Day, a.Day) }) // newest first
		size := int64(0)
		for _, p := range list {
			end, ok := storage.DayEnd(p.Day)
			if !ok {
				continue
			}
			size += p.Bytes
			switch at := end.Add(limit.Age); {
			case limit.Age > 0 && !at.After(now):
				plan = append(plan, Removal{p, ReasonAge, at})
			case limit.Size > 0 && size > limit.Size && p.Day < today:
				plan = append(plan, Removal{p, ReasonSize, now})
			case limit.Age > 0 && !at.After(until):
				plan = append(plan, Removal{p, ReasonAge, at})
			}
		}
	}
	slices.SortStableFunc(plan, func(a, b Removal) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		return strings.Compare(a.Day+a.Name, b.Day+b.Name)
	})
	return plan
}
