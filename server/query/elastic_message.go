package query

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tallylog/tally/event"
)

// present finds the documents with a message.
var hasMessage = dslTerm(ElasticTokens, firstToken)

// longWord finds the documents whose message has a word too long for a term.
var longWord = dslTerm(ElasticLong, event.Message)

// message compiles a leaf on the message, which is in the index as words.
func (c elastic) message(e Expr) between {
	switch e := e.(type) {
	case Empty:
		return certainly(dslNot(hasMessage))
	case Present:
		return certainly(hasMessage)
	case Exact:
		return certainly(wholeMessage(e.Value))
	case In:
		var all []DSL
		for _, v := range e.Values {
			all = append(all, wholeMessage(v))
		}
		if len(all) == 0 {
			return certainly(matchNone)
		}
		return certainly(dslOr(all...))
	case Compare, Range: // numbers alone are terms as well
		return c.value(e, ElasticFields, elasticKey(event.Message), hasMessage, c.long[event.Message])
	case Regexp:
		return c.messageRegexp(e)
	case Phrase:
		switch {
		case e.Text == "":
			return certainly(dslNot(hasMessage))
		case e.IgnoreCase && hasCase(e.Text):
			return foldedPhrase(e.Text, false)
		}
		return messagePhrase(e.Text)
	case Prefix:
		switch _, behind := edges(e.Text); {
		case e.Text == "":
			return certainly(hasMessage)
		case e.IgnoreCase && hasCase(e.Text):
			return foldedPhrase(e.Text, behind)
		case !behind: // it ends with a character of its own, behind which anything may stand
			return messagePhrase(e.Text)
		}
		return messagePrefix(e.Text)
	}
	return certainly(matchNone)
}

func wholeMessage(value string) DSL {
	if value = cleanValue(value); value == "" {
		return dslNot(hasMessage)
	}
	b, _ := ElasticWords(nil, value)
	return DSL{"match_phrase": DSL{ElasticTokens: string(b)}}
}

// words finds tokens in a row.
func words(list []string) DSL {
	switch len(list) {
	case 0:
		return hasMessage
	case 1:
		return dslTerm(ElasticTokens, list[0])
	}
	return DSL{"match_phrase": DSL{ElasticTokens: strings.Join(list, " ")}}
}

func messagePhrase(text string) between {
	if edgeSpace(text) {
		return between{matchNone, words(tokens(strings.Trim(text, " "))), false}
	}
	return certainly(words(tokens(text)))
}

func messagePrefix(text string) between {
	list := tokens(text)
	last := list[len(list)-1]
	head, _, long := strings.Cut(last, `\`)
	begins := DSL{"prefix": DSL{ElasticTokens: head}}
	rest := words(list[:len(list)-1])
	switch {
	case edgeSpace(text) || long:
		list := tokens(strings.Trim(text, " "))
		return between{matchNone, dslAnd(words(list[:len(list)-1]), begins), false}
	case len(list) == 1:
		return certainly(begins)
	}
	// Elasticsearch looks at a bounded number of words with such a beginning. What it finds with these is right; where all its words
	// stand somewhere, the last behind the others or not, has to be looked at.
	sure := DSL{"match_phrase_prefix": DSL{ElasticTokens: DSL{"query": strings.Join(list, " "), "max_expansions": 1000}}}
	return between{sure, dslAnd(rest, begins), false}
}

// mostRequired is how many words of a text are looked for by themselves; Elasticsearch bounds the number of queries in one.
const mostRequired = 100

// foldedPhrase ignores case. With prefix set the last word may go on.
func foldedPhrase(text string, prefix bool) between {
	if edgeSpace(text) || strings.ContainsFunc(text, foldsOut) {
		return between{matchNone, hasMessage, false}
	}
	list := tokens(text)
	prefix = prefix || len(list) > mostRequired // so many places in a row are looked for in what has the words
	spans := make([]DSL, len(list))
	for i, t := range list {
		r, _ := utf8.DecodeRuneInString(t)
		escaped := r == '\\'
		_, _, long := strings.Cut(t, `\`)
		if long && !escaped { // the hash of a long word is that of its very letters
			return between{matchNone, longWord, false}
		}
		goesOn := prefix && i == len(list)-1
		if !goesOn && (escaped || !hasCase(t)) {
			spans[i] = DSL{"span_term": DSL{ElasticTokens: t}}
			continue
		}
		var b strings.Builder
		luceneFolded(&b, t)
		if goesOn {
			b.WriteString(".*")
		}
		spans[i] = dslRegexp(ElasticTokens, b.String())
		if len(list) > 1 {
			spans[i] = DSL{"span_multi": DSL{"match": spans[i]}}
		}
	}
	if len(list) == 1 {
		if _, ok := spans[0]["span_term"]; ok {
			return certainly(dslTerm(ElasticTokens, list[0]))
		}
		return certainly(spans[0])
	}
	if !prefix {
		return certainly(DSL{"span_near": DSL{"clauses": spans, "slop": 0, "in_order": true}})
	}
	// The words that begin like the last may be too many for a search by place.
	var all []DSL
	for i, t := range list {
		switch multi, ok := spans[i]["span_multi"].(DSL); {
		case slices.Index(list, t) < i && i < len(list)-1: // a long text says the same words again and again
		case len(all) == mostRequired:
		case ok:
			all = append(all, multi["match"].(DSL))
		default:
			all = append(all, dslTerm(ElasticTokens, t))
		}
	}
	return between{matchNone, dslAnd(all...), false}
}

func (c elastic) messageRegexp(e Regexp) between {
	rewritten, _, err := rewritePattern(e.Pattern)
	if err != nil {
		return certainly(matchNone)
	}
	re, err := regexp.Compile(rewritten)
	if err != nil {
		return certainly(matchNone)
	}
	if p, ok := wordPattern(e.Pattern); ok && !c.simple {
		found := DSL{"regexp": DSL{ElasticTokens: DSL{"value": p, "flags": "INTERSECTION"}}}
		if !c.long[event.Message] {
			return certainly(found)
		}
		return between{dslAnd(found, dslNot(longWord)), dslOr(found, longWord), false}
	}
	b := between{matchNone, dslAnd(append(requiredWords(e.Pattern, c.long[event.Message]), hasMessage)...), false}
	if re.MatchString("") {
		b.sure = dslNot(hasMessage)
		b.possible = dslOr(b.possible, b.sure)
	}
	return b
}
