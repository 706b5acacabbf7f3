package query

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Elasticsearch gets the words of a message from here, ready made: its own analyzers know other word boundaries than this
// language, and other versions of Unicode. The text is a list of tokens with spaces between them, for the whitespace tokenizer:
// each run of word characters (see words.go) is a token, and each other character is one, so a phrase of this language is a phrase
// of tokens, punctuation and all. A single space between two words has no token: that two words are neighbours says it.

// Tokens with a backslash are made by us: an escaped character, the edges of the message, or a word too long for a term.
const (
	firstToken = `\^`
	lastToken  = `\$`
	// wholeWord is the number of characters up to which a word is its own token. The tokenizer cuts at 255.
	wholeWord = 100
)

// ElasticWords appends the tokens of a message to b, between those of its edges, and tells whether a word was too long for a term.
func ElasticWords(b []byte, message string) (_ []byte, long bool) {
	b = append(b, firstToken...)
	b, long = appendTokens(b, cleanValue(message))
	return append(b, " "+lastToken...), long
}

// tokens returns those of a text, without the edges.
func tokens(s string) []string {
	b, _ := appendTokens(nil, s)
	return strings.Fields(string(b))
}

func appendTokens(b []byte, s string) (_ []byte, long bool) {
	wordBefore := false // the token before is a word
	for at := 0; at < len(s); {
		r, n := utf8.DecodeRuneInString(s[at:])
		if wordRune(r) {
			end, runes := at, 0
			for end < len(s) {
				r, n := utf8.DecodeRuneInString(s[end:])
				if !wordRune(r) {
					break
				}
				end, runes = end+n, runes+1
			}
			b = append(b, ' ')
			if runes <= wholeWord {
				b = append(b, s[at:end]...)
			} else {
				b, long = append(b, shortened(s[at:end])...), true
			}
			at, wordBefore = end, true
			continue
		}
		at += n
		if r != ' ' || !wordBefore || !startsWithWord(s[at:]) {
			b = append(append(b, ' '), charToken(r)...)
			wordBefore = false
		}
	}
	return b, long
}

func startsWithWord(s string) bool {
	r, n := utf8.DecodeRuneInString(s)
	return n > 0 && wordRune(r)
}

// shortened is the token of a long word: its beginning and a hash of it all.
func shortened(word string) string {
	sum := sha256.Sum256([]byte(word))
	return headOf(word, wholeWord) + `\` + hex.EncodeToString(sum[:12])
}

func headOf(word string, runes int) string {
	for at := range word {
		if runes == 0 {
			return word[:at]
		}
		runes--
	}
	return word
}

func charToken(r rune) string {
	if r < utf8.RuneSelf {
		return charTokens[r]
	}
	if unicode.In(r, unicode.Z, unicode.C) {
		return `\` + strconv.FormatInt(int64(r), 16)
	}
	return string(r)
}

// charTokens are those of ASCII.
var charTokens = func() (t [utf8.RuneSelf]string) {
	for r := range rune(utf8.RuneSelf) {
		t[r] = string(r)
		if r <= ' ' || r == '\\' || r == 0x7F {
			t[r] = `\` + strconv.FormatInt(int64(r), 16)
		}
	}
	return t
}()

// edgeSpace tells whether a text begins or ends with a space that has no token in some messages that contain the text.
func edgeSpace(s string) bool {
	if s == " " {
		return true
	}
	after, leads := strings.CutPrefix(s, " ")
	before, trails := strings.CutSuffix(s, " ")
	last, _ := utf8.DecodeLastRuneInString(before)
	return leads && startsWithWord(after) || trails && wordRune(last)
}

// The fields of an event other than the message are terms "name=value". Names are escaped so that the first equals sign ends one.

// wholeValue is the length of a value up to which its term holds it whole. keptValue is how much a longer one keeps, beside a hash.
const (
	wholeValue = 4096
	keptValue  = 512
)

var nameEscaper = strings.NewReplacer(`\`, `\b`, `=`, `\e`, `~`, `\t`)
var nameUnescaper = strings.NewReplacer(`\b`, `\`, `\e`, `=`, `\t`, `~`)

// ElasticField returns the term of a field, and whether the value is too long to be whole in it. The value must not be empty.
func ElasticField(name, value string) (term string, long bool) {
	value = cleanValue(value)
	if strings.ContainsAny(name, `\=~`) {
		name = nameEscaper.Replace(name)
	}
	if len(value) <= wholeValue {
		return name + "=" + value, false
	}
	sum := sha256.Sum256([]byte(value))
	keep := keptValue
	for !utf8.RuneStart(value[keep]) {
		keep--
	}
	return name + "~=" + value[:keep] + "~" + hex.EncodeToString(sum[:]), true
}

// ElasticFieldOf is the inverse of ElasticField; of a long value only the beginning is there.
func ElasticFieldOf(term string) (name, value string, long bool) {
	name, value, _ = strings.Cut(term, "=")
	if name, long = strings.CutSuffix(name, "~"); long {
		value = value[:max(0, len(value)-1-2*sha256.Size)]
	}
	if strings.Contains(name, `\`) {
		name = nameUnescaper.Replace(name)
	}
	return name, value, long
}

// elasticKey is how the whole terms of a field begin.
func elasticKey(name string) string { return nameEscaper.Replace(name) + "=" }

// IsNumber tells whether a value is a plain decimal number, as Compare and Range take them.
func IsNumber(value string) bool {
	_, ok := parseValue(value)
	return ok
}

// ElasticInclude returns an expression for the terms of a field whose values begin with prefix, long values not among them.
func ElasticInclude(field, prefix string) string {
	var b strings.Builder
	luceneText(&b, elasticKey(field)+prefix)
	return b.String() + ".*"
}

// ElasticTerms returns the bounds of the terms of a field, long values not among them: each is greater than first and less than behind.
func ElasticTerms(field string) (first, behind string) {
	key := elasticKey(field)
	return key, key[:len(key)-1] + ">"
}
