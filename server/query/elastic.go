package query

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tallylog/tally/event"
)

// The fields of a document in Elasticsearch that queries look at; the mapping and FORMAT.md of the backend say what they are.
const (
	ElasticTime   = "@timestamp" // date_nanos
	ElasticID     = "id"         // keyword
	ElasticTokens = "words"      // text: ElasticWords of the message
	ElasticFields = "fields"     // keyword, many: ElasticField of every field but the message
	ElasticNames  = "names"      // keyword, many: the names of those fields
	ElasticLong   = "long"       // keyword, many: the names of those with values too long for a term
)

// DSL is a query of Elasticsearch, to be written as JSON.
type DSL = map[string]any

// Elastic returns two queries of Elasticsearch around an expression: sure finds nothing that e does not select, and possible all
// that it does. What only possible finds has to be asked of Compile(e). Mostly they are the same query, and exact is true.
//
// long names the fields that have values too long for a term in the documents asked; what those values hold is not in the index. With
// simple set no regular expression of a user is sent: Elasticsearch refuses those that would cost it too much.
func Elastic(e Expr, long map[string]bool, simple bool) (sure, possible DSL, exact bool) {
	b := elastic{long, simple}.expr(e)
	return b.sure, b.possible, b.exact
}

// between is a pair of queries around an expression.
type between struct {
	sure, possible DSL
	exact          bool
}

func certainly(q DSL) between { return between{q, q, true} }

var (
	matchAll  = DSL{"match_all": DSL{}}
	matchNone = DSL{"match_none": DSL{}}
)

type elastic struct {
	long   map[string]bool
	simple bool
}

func (c elastic) expr(e Expr) between {
	switch e := e.(type) {
	case All:
		return certainly(matchAll)
	case And:
		return c.terms(e.Terms, matchAll, dslAnd)
	case Or:
		return c.terms(e.Terms, matchNone, dslOr)
	case Not:
		t := c.expr(e.Term)
		return between{dslNot(t.possible), dslNot(t.sure), t.exact}
	}
	switch f := field(e); f {
	case event.Timestamp:
		return certainly(elasticTime(e))
	case ID:
		return c.value(e, ElasticID, "", matchAll, false)
	case event.Message:
		return c.message(e)
	default:
		return c.value(e, ElasticFields, elasticKey(f), dslTerm(ElasticNames, f), c.long[f])
	}
}

func (c elastic) terms(terms []Expr, none DSL, join func(...DSL) DSL) between {
	if len(terms) == 0 {
		return certainly(none)
	}
	var sure, possible []DSL
	exact := true
	for _, t := range terms {
		b := c.expr(t)
		sure, possible, exact = append(sure, b.sure), append(possible, b.possible), exact && b.exact
	}
	return between{join(sure...), join(possible...), exact}
}

// value compiles a leaf on the terms of index that begin with key; present finds the documents that have the field. Where long is
// set, some of their values are not whole in the index.
func (c elastic) value(e Expr, index, key string, present DSL, long bool) between {
	pattern := func(p string) between {
		var b strings.Builder
		luceneText(&b, key)
		q := dslRegexp(index, b.String()+p)
		if !long {
			return certainly(q)
		}
		unknown := dslTerm(ElasticLong, field(e))
		return between{dslAnd(q, dslNot(unknown)), dslOr(q, unknown), false}
	}
	switch e := e.(type) {
	case Empty:
		return certainly(dslNot(present))
	case Present:
		return certainly(present)
	case Exact:
		return certainly(oneOfTerms(index, key, e.Field, []string{e.Value}, present))
	case In:
		return certainly(oneOfTerms(index, key, e.Field, e.Values, present))
	case Phrase:
		if e.Text == "" {
			return certainly(dslNot(present))
		}
		before, behind := edges(e.Text)
		return c.phrase(pattern, present, e.Text, e.IgnoreCase, before, behind)
	case Prefix:
		if e.Text == "" {
			return certainly(present)
		}
		before, _ := edges(e.Text)
		return c.phrase(pattern, present, e.Text, e.IgnoreCase, before, false)
	case Compare:
		return c.numbers(pattern, [2]Op{e.Op}, [2]string{e.Value})
	case Range:
		low, high := bounds(e)
		return c.numbers(pattern, [2]Op{low, high}, [2]string{e.Low, e.High})
	case Regexp:
		return c.regexp(e, pattern, present)
	}
	return certainly(matchNone)
}

func (c elastic) phrase(pattern func(string) between, present DSL, text string, ignoreCase, before, behind bool) between {
	if len(text) > mostPhrase {
		return between{matchNone, present, false}
	}
	if !before && !behind {
		return pattern(lucenePhrase(text, ignoreCase, false, false, ""))
	}
	sure := pattern(lucenePhrase(text, ignoreCase, before, behind, certainBoundary))
	possible := pattern(lucenePhrase(text, ignoreCase, before, behind, possibleBoundary))
	return between{sure.sure, possible.possible, false}
}

// mostPhrase is the length in bytes of the longest text that is looked for by an expression.
const mostPhrase = 1000

func (c elastic) numbers(pattern func(string) between, ops [2]Op, values [2]string) between {
	var all []between
	for i, op := range ops {
		if op == "" {
			continue
		}
		bound, ok := parseDecimal(values[i])
		if !ok {
			return certainly(matchNone)
		}
		all = append(all, pattern(luceneNumber(bound, op)))
	}
	b := all[0]
	if len(all) > 1 {
		b = between{dslAnd(b.sure, all[1].sure), dslAnd(b.possible, all[1].possible), b.exact && all[1].exact}
	}
	return b
}

// regexp takes a missing field for the empty text.
func (c elastic) regexp(e Regexp, pattern func(string) between, present DSL) between {
	rewritten, _, err := rewritePattern(e.Pattern)
	if err != nil {
		return certainly(matchNone)
	}
	re, err := regexp.Compile(rewritten)
	if err != nil {
		return certainly(matchNone)
	}
	var b between
	if p, ok := lucenePattern(e.Pattern); ok && !c.simple {
		b = pattern(p)
	} else {
		b = between{matchNone, present, false}
		for _, text := range literals(e.Pattern) {
			b.possible = dslAnd(b.possible, c.phrase(pattern, present, text, false, false, false).possible)
		}
	}
	if re.MatchString("") {
		missing := dslNot(present)
		b.sure, b.possible = dslOr(b.sure, missing), dslOr(b.possible, missing)
	}
	return b
}

// oneOfTerms finds whole values; an empty one is a missing field.
func oneOfTerms(index, key, name string, values []string, present DSL) DSL {
	var terms []string
	missing := false
	for _, v := range values {
		switch v = cleanValue(v); {
		case v == "":
			missing = true
		case key == "":
			terms = append(terms, v)
		default:
			t, _ := ElasticField(name, v)
			terms = append(terms, t)
		}
	}
	slices.Sort(terms)
	q := DSL{"terms": DSL{index: slices.Compact(terms)}}
	switch {
	case len(terms) == 0 && missing:
		return dslNot(present)
	case len(terms) == 0:
		return matchNone
	case missing:
		return dslOr(q, dslNot(present))
	}
	return q
}

func elasticTime(e Expr) DSL {
	if _, ok := e.(Present); ok {
		return matchAll
	}
	first, last, ok := timeRange(e)
	if !ok || last < 0 {
		return matchNone
	}
	return ElasticTimes(max(first, 0), last)
}

// ElasticTimes selects first <= time <= last, in nanoseconds since 1970; neither may be before that.
func ElasticTimes(first, last int64) DSL {
	at := func(ns int64) string { return time.Unix(0, ns).UTC().Format(nanoseconds) }
	return DSL{"range": DSL{ElasticTime: DSL{"gte": at(first), "lte": at(last), "format": "strict_date_optional_time_nanos"}}}
}

func dslTerm(field, value string) DSL { return DSL{"term": DSL{field: value}} }

func dslRegexp(field, pattern string) DSL {
	return DSL{"regexp": DSL{field: DSL{"value": pattern, "flags": "NONE"}}}
}

func dslAnd(all ...DSL) DSL {
	if len(all) == 1 {
		return all[0]
	}
	return DSL{"bool": DSL{"filter": grouped(all, dslAnd)}}
}

func dslOr(all ...DSL) DSL {
	if len(all) == 1 {
		return all[0]
	}
	return DSL{"bool": DSL{"should": grouped(all, dslOr), "minimum_should_match": 1}}
}

// mostClauses is how many queries one of the kind bool may have: Elasticsearch 7 takes 1,024.
const mostClauses = 1000

// grouped joins neighbours where there are more queries than one may have.
func grouped(all []DSL, join func(...DSL) DSL) []DSL {
	if len(all) <= mostClauses {
		return all
	}
	var groups []DSL
	for part := range slices.Chunk(all, mostClauses) {
		groups = append(groups, join(part...))
	}
	return grouped(groups, join)
}

func dslNot(q DSL) DSL { return DSL{"bool": DSL{"must_not": []DSL{q}}} }

// requiredWords returns queries for what every match of a pattern on the message must contain. long tells whether words may be cut.
func requiredWords(pattern string, long bool) (out []DSL) {
	for _, text := range literals(pattern) {
		list := tokens(strings.Trim(text, " "))
		for i, t := range list {
			first, last := i == 0, i == len(list)-1
			r, _ := utf8.DecodeRuneInString(t)
			switch {
			case t[0] == '\\' && len(t) > 1, !wordRune(r):
				out = append(out, dslTerm(ElasticTokens, t))
			case strings.Contains(t, `\`): // a long word, of which the message may have more
				continue
			case first || last:
				var b strings.Builder
				luceneText(&b, t)
				before, behind := "", ""
				if first {
					before = ".*"
				}
				if last {
					behind = ".*"
				}
				q := dslRegexp(ElasticTokens, before+b.String()+behind)
				if long { // the text may stand where the term ends
					q = dslOr(q, longWord)
				}
				out = append(out, q)
			default:
				out = append(out, dslTerm(ElasticTokens, t))
			}
		}
	}
	return out[:min(len(out), mostRequired)]
}

// wordPattern translates a pattern whose matches lie within one word to an expression for tokens that are words.
func wordPattern(pattern string) (string, bool) {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil || !wordsOnly(tree) {
		return "", false
	}
	p, ok := lucenePattern(pattern)
	return `[^\\].*&(` + p + `)`, ok
}
