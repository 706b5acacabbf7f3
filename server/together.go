package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/config"
	"github.com/tallylog/tally/server/retention"
	"github.com/tallylog/tally/server/siblings"
	"github.com/tallylog/tally/server/storage/elasticsearch"
)

// What servers before one Elasticsearch must have alike: retention, which is in force for all when the files of all agree on it, and the
// name of the index, the pipelines and the version, of which a difference is told.

// mostSkew is how far clocks may differ before nothing is removed any more: one of them would remove too much.
const mostSkew = time.Hour

// retentionText is the retention of a configuration as servers compare it.
func retentionText(r *config.Retention) (string, error) {
	b, err := json.Marshal(shared{Age: time.Duration(r.Age), Size: int64(r.Size), Ledger: r.LedgerAge(), Rules: r.Classes()})
	if err != nil {
		return "", fmt.Errorf("cannot write the retention for the other servers: %w", err)
	}
	return string(b), nil
}

// shared is the retention of a configuration.
type shared struct {
	Age    time.Duration   `json:"age"`
	Size   int64           `json:"size"`
	Ledger time.Duration   `json:"ledger"`
	Rules  retention.Rules `json:"rules"`
}

// sums are those of what else all servers should have alike.
func (s *Server) sums() map[string]string {
	sum := func(text string) string {
		h := sha256.Sum256([]byte(text))
		return hex.EncodeToString(h[:8])
	}
	return map[string]string{"storage.elasticsearch.index": sum(s.o.Config.Storage.Elasticsearch.Index), "the version of the program": sum(s.o.Version), "pipelines": s.clean.Pipelines().Sum}
}

// agree puts the retention in force that the files of all servers have, or had when they last agreed.
func (s *Server) agree(a siblings.Agreement) {
	var r shared
	if err := json.Unmarshal([]byte(a.Retention), &r); err != nil {
		s.o.Log.Error("cannot understand the retention that the servers have agreed on; that of this server's configuration holds here", "error", err)
		return
	}
	store, ok := s.admit.Store().(*elasticsearch.Store)
	if !ok {
		return
	}
	store.SetRetention(retention.Limit{Age: r.Age, Size: r.Size}, r.Rules)
	if differ := s.otherRetention(a); differ != "" {
		s.o.Log.Warn(differ)
	}
}

// otherRetention says in what the retention in force differs from that of this server's configuration; "" for in nothing.
func (s *Server) otherRetention(a siblings.Agreement) string {
	own, err := retentionText(&s.o.Config.Retention)
	if err != nil || a.Retention == "" || own == a.Retention {
		return ""
	}
	var mine, now shared
	if json.Unmarshal([]byte(own), &mine) != nil || json.Unmarshal([]byte(a.Retention), &now) != nil {
		return "retention: what is in force cannot be understood"
	}
	var list []string
	differ := func(key string, in, here any) {
		if fmt.Sprint(in) != fmt.Sprint(here) {
			list = append(list, fmt.Sprintf("%s is %v, here %v", key, in, here))
		}
	}
	differ("retention.age", now.Age, mine.Age)
	differ("retention.size", now.Size, mine.Size)
	differ("retention.ledger", now.Ledger, mine.Ledger)
	differ("retention.rules", names(now.Rules), names(mine.Rules))
	if len(list) == 0 {
		list = []string{"retention.rules differ in what they say"}
	}
	return fmt.Sprintf("the retention in force, on which the configurations of all servers agreed at %s, is not that of this server's configuration (%s); it changes when those of all servers that run are alike again", event.FormatTime(a.At*1e6), strings.Join(list, "; "))
}

func names(rules retention.Rules) []string {
	var all []string
	for _, r := range rules {
		all = append(all, r.Name)
	}
	return all
}

// warnings are what is not as it should be among the servers, as this one sees it.
func (s *Server) warnings() []string {
	all := []string{}
	if s.group == nil {
		return all
	}
	if differ := s.otherRetention(s.group.Agreement()); differ != "" {
		all = append(all, differ)
	}
	members := s.group.Members()
	mine := members[s.group.ID()]
	for _, id := range slices.Sorted(maps.Keys(members)) {
		m := members[id]
		for _, what := range slices.Sorted(maps.Keys(mine.Config)) {
			if m.Config[what] != mine.Config[what] {
				all = append(all, fmt.Sprintf("%s is not that of %s", what, m.Name))
			}
		}
	}
	clocks := s.group.Clocks()
	for _, name := range slices.Sorted(maps.Keys(clocks)) {
		text := fmt.Sprintf("the clock of %s is %v ahead of the clock here", name, clocks[name])
		if clocks[name] < 0 {
			text = fmt.Sprintf("the clock of %s is %v behind the clock here", name, -clocks[name])
		}
		if clocks[name].Abs() > mostSkew {
			text += "; while clocks differ so much, retention removes nothing"
		}
		all = append(all, text)
	}
	return all
}

// mayRemove tells whether this server is the one that removes what is past its retention.
func (s *Server) mayRemove() bool {
	for _, d := range s.group.Clocks() {
		if d.Abs() > mostSkew {
			return false
		}
	}
	return s.group.Leads() && s.group.Agreement().Retention != ""
}

// shelf is the history of removals among the documents.
type shelf struct{ docs *elasticsearch.Documents }

const removedID = "removed"

// shelved is the document.
type shelved struct {
	Removed json.RawMessage `json:"removed"`
}

// Read is retention.Shelf's.
func (s shelf) Read(ctx context.Context) ([]byte, error) {
	d, err := s.docs.Get(ctx, removedID)
	if err != nil || d.Body == nil {
		return nil, err
	}
	var x shelved
	err = json.Unmarshal(d.Body, &x)
	return x.Removed, err
}

// Write is retention.Shelf's.
func (s shelf) Write(ctx context.Context, b []byte) error {
	body, err := json.Marshal(shelved{b})
	if err != nil {
		return err
	}
	return s.docs.Set(ctx, removedID, body)
}
