package elasticsearch

import (
	"encoding/json"

	"github.com/tallylog/tally/server/query"
)

// layoutVersion is in the mapping of every index; FORMAT.md describes the layout.
const layoutVersion = 1

// The fields of a document that only this package knows.
const (
	docTenant  = "tenant"
	docBatch   = "batch"
	docServer  = "server"
	docFrom    = "from"
	docSize    = "size"
	docMessage = "message"
	docWhole   = "whole" // names and values that are too long for a term
)

type object = query.DSL

func keyword() object { return object{"type": "keyword"} }

func mappings(until string) object {
	return object{
		"dynamic": "strict",
		"_meta":   object{"tally_layout": layoutVersion, "tally_until": until},
		"properties": object{
			query.ElasticTime:   object{"type": "date_nanos", "format": "strict_date_optional_time_nanos"},
			query.ElasticID:     keyword(),
			query.ElasticTokens: object{"type": "text", "analyzer": "whitespace", "norms": false},
			query.ElasticFields: keyword(),
			query.ElasticNames:  keyword(),
			query.ElasticLong:   keyword(),
			docTenant:           object{"type": "long"},
			docBatch:            object{"type": "long", "doc_values": false},
			docServer:           keyword(),
			docFrom:             object{"type": "long", "index": false},
			docSize:             object{"type": "integer"},
			docWhole:            object{"type": "object", "enabled": false},
			docMessage:          object{"type": "keyword", "index": false, "doc_values": false},
		},
		// The words can be made again of the message.
		"_source": object{"excludes": []string{query.ElasticTokens, query.ElasticNames}},
	}
}

// index is the body of a request that makes an index; until is the last day that its name stands for, empty for none.
func (s *Store) index(until string) object {
	return object{
		"settings": object{"index": object{
			"number_of_shards":   s.o.Shards,
			"number_of_replicas": s.o.Replicas,
			"max_regex_length":   100_000,
			"codec":              "best_compression",
		}},
		"mappings": mappings(until),
		"aliases":  object{s.alias: object{}},
	}
}

// template keeps Elasticsearch from making indices by itself where one was deleted under a bulk request, with mappings of its own mind. The
// longer of two prefixes wins.
func (s *Store) template() object {
	return object{"index_patterns": []string{s.name.Pattern()}, "priority": 200 + len(s.name.Pattern()), "allow_auto_create": false, "template": s.index("")}
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("elasticsearch: a request cannot be written as JSON: " + err.Error()) // all of them are made here, of maps and texts
	}
	return b
}
