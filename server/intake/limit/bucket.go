package limit

import "time"

// bucket holds what may be sent: at most one second's worth, below 0 a debt. A rate of 0 is no bound.
type bucket struct {
	rate, level float64
	at          time.Time
}

func newBucket(rate int64, now time.Time) bucket {
	return bucket{rate: float64(rate), level: float64(rate), at: now}
}

func (b *bucket) fill(now time.Time) {
	if d := now.Sub(b.at).Seconds(); d > 0 {
		b.level = min(b.rate, b.level+d*b.rate)
		b.at = now
	}
}

// maxWait bounds a wait that a very low rate and a very large batch would make longer than a Duration can hold.
const maxWait = 365 * 24 * time.Hour

// wait is the time until the level is above 0.
func (b *bucket) wait() time.Duration {
	if b.rate == 0 || b.level > 0 {
		return 0
	}
	return min(maxWait, time.Duration(min(maxWait.Seconds(), -b.level/b.rate)*float64(time.Second))+time.Millisecond)
}

// recent counts the last recentSeconds whole seconds.
type recent struct {
	slots [recentSeconds + 1]struct{ second, events, bytes int64 }
}

const recentSeconds = 10

func (r *recent) add(now time.Time, events, bytes int64) {
	s := now.Unix()
	slot := &r.slots[s%int64(len(r.slots))]
	if slot.second != s {
		slot.second, slot.events, slot.bytes = s, 0, 0
	}
	slot.events += events
	slot.bytes += bytes
}

// rates are means over the seconds before this one.
func (r *recent) rates(now time.Time) (events, bytes float64) {
	for _, slot := range r.slots {
		if ago := now.Unix() - slot.second; ago >= 1 && ago <= recentSeconds {
			events += float64(slot.events) / recentSeconds
			bytes += float64(slot.bytes) / recentSeconds
		}
	}
	return events, bytes
}
