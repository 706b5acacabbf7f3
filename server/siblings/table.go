package siblings

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"time"
)

// buckets is the number of parts that sources fall into. It is in the table, and cannot change while servers of two versions run.
const buckets = 256

// bucketOf is the bucket of a source of a client, or, without one, of the identity of an event.
func bucketOf(tenant uint32, client, source, identity string) int {
	h := fnv.New64a()
	var n [4]byte
	binary.LittleEndian.PutUint32(n[:], tenant)
	h.Write(n[:])
	if source == "" { // an identity is the tenant's, whoever sends it
		client = ""
	}
	for _, s := range []string{client, source, identity} {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	x := h.Sum64()
	return int((x ^ x>>32) % buckets)
}

// Member is a server that lives.
type Member struct {
	Name    string `json:"name"` // host name
	URL     string `json:"url"`  // where the other servers reach it
	Version string `json:"version"`
	Started string `json:"started"` // RFC 3339
	Beat    uint64 `json:"beat"`    // changes while it lives
	Clock   int64  `json:"clock"`   // what it takes for the time, in milliseconds since 1970
	// Retention is what its configuration says of retention: a text that is equal where the meaning is.
	Retention string `json:"retention"`
	// Config is a sum of what else all servers should have alike, by its name.
	Config map[string]string `json:"config,omitempty"`
}

// Agreement is the retention in force for all servers.
type Agreement struct {
	Retention string `json:"retention"`
	By        string `json:"by"` // name of the server that was the last to have it
	At        int64  `json:"at"` // milliseconds since 1970
}

// Absent is a server that went without a word, or with something left in its buffer, and did not come back.
type Absent struct {
	Name  string `json:"name"`
	Since int64  `json:"since"` // milliseconds since 1970
}

// absentAge is how long an absent server is remembered.
const absentAge = 30 * 24 * time.Hour

// table is the document that all servers share.
type table struct {
	Secret  []byte            `json:"secret"` // for requests between servers
	Members map[string]Member `json:"members"`
	Absent  map[string]Absent `json:"absent,omitempty"`
	Agreed  Agreement         `json:"agreed"`
	Holders []string          `json:"holders"` // the member that admits each bucket; "" for none
}

// parseTable reads the table; of a document that is not there it gives an empty one.
func parseTable(body []byte) (*table, error) {
	t := &table{}
	if body != nil {
		if err := json.Unmarshal(body, t); err != nil {
			return nil, fmt.Errorf("cannot understand the table of servers: %w", err)
		}
		if len(t.Holders) != buckets {
			return nil, fmt.Errorf("the table of servers has %d buckets, not %d", len(t.Holders), buckets)
		}
	}
	if t.Members == nil {
		t.Members = map[string]Member{}
	}
	if t.Absent == nil {
		t.Absent = map[string]Absent{}
	}
	if t.Holders == nil {
		t.Holders = make([]string, buckets)
	}
	for b, h := range t.Holders {
		if _, there := t.Members[h]; !there {
			t.Holders[b] = ""
		}
	}
	return t, nil
}

// wanted says which of the members is to hold each bucket: the same answer for the same members, evenly spread, and when a member comes
// or goes only its own share changes.
func (t *table) wanted() []string {
	ids := make([]string, 0, len(t.Members))
	for id := range t.Members {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	all := make([]string, buckets)
	for b := range all {
		best := uint64(0)
		for _, id := range ids {
			sum := sha256.Sum256(fmt.Appendf(nil, "%d %s", b, id))
			if x := binary.BigEndian.Uint64(sum[:8]); all[b] == "" || x > best {
				all[b], best = id, x
			}
		}
	}
	return all
}

// remove takes a member out, and its buckets from it. Since when it is absent is told in milliseconds, 0 where it is not to be remembered.
func (t *table) remove(id string, since int64) {
	if m, there := t.Members[id]; there && since > 0 {
		t.Absent[id] = Absent{m.Name, since}
	}
	delete(t.Members, id)
	for b, h := range t.Holders {
		if h == id {
			t.Holders[b] = ""
		}
	}
}

// agree puts the retention of m in force if all other members have the same. One that has another, as while their configurations are changed one
// after the other, or as one is wrong, changes nothing.
func (t *table) agree(m Member, now time.Time) {
	if t.Agreed.Retention == m.Retention {
		return
	}
	for _, o := range t.Members {
		if o.Retention != m.Retention {
			return
		}
	}
	t.Agreed = Agreement{m.Retention, m.Name, now.UnixMilli()}
}
