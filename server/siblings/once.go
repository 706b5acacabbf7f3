package siblings

import (
	"strconv"
	"strings"
	"sync"
	"time"
)

// once lets each request through once: what somebody has heard on the way and sends again is known, or too old to be remembered and refused for
// that. It also keeps how far the clocks of others are ahead.
type once struct {
	uptime func() time.Duration // does not step, as clocks do

	mu      sync.Mutex
	seen    map[string]time.Duration // uptime, by the text of their time
	swept   time.Duration
	offsets map[string]time.Duration // by id of the server
}

func newOnce() *once {
	begun := time.Now()
	return &once{uptime: func() time.Duration { return time.Since(begun) }, seen: map[string]time.Duration{}, offsets: map[string]time.Duration{}}
}

const (
	isFresh = iota
	isStale
	isKnown
)

// admit judges the time of a request whose signature is right.
func (o *once) admit(text string, now time.Time) int {
	number, _, _ := strings.Cut(text, ".")
	ms, err := strconv.ParseInt(number, 10, 64)
	at := time.UnixMilli(ms)
	o.mu.Lock()
	defer o.mu.Unlock()
	age, up := now.Round(0).Sub(at), o.uptime()
	if err != nil || age.Abs() > skew || age > up+time.Millisecond { // what came before the start is not remembered
		return isStale
	}
	if _, known := o.seen[text]; known {
		return isKnown
	}
	o.seen[text] = up
	if up-o.swept > skew {
		o.swept = up
		for text, seen := range o.seen {
			if up-seen > 2*skew { // it could be from the future
				delete(o.seen, text)
			}
		}
	}
	return isFresh
}

// ahead is how far the clock of a server is known to be.
func (o *once) ahead(id string) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.offsets[id]
}

func (o *once) learn(id string, ahead time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.offsets[id] = ahead
}
