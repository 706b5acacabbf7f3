package query

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Word boundaries. A character is part of a word when it is a letter, a decimal digit or an underscore (so says the
// tokenizer of the embedded store), unless it is written without spaces between words: each Han, Kana or Hangul character
// is a word of its own. Between two characters there is no boundary only when both are parts of words.
//
// A phrase that begins with a part of a word needs a boundary before it, and one that ends with such needs one behind it;
// next to punctuation and Han there is always one.

// boundaryClass is an RE2 alternative for the characters that are no part of a word: the complement of wordRune.
const boundaryClass = `[^\pL\p{Nd}_]|[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\x{3006}\x{3031}-\x{3035}\x{303C}\x{30FC}\x{FF70}\x{FF9E}\x{FF9F}]`

// sharedKana are letters that Unicode gives to no single script because Han and Kana (or both Kana) use them.
const sharedKana = "\u3006\u3031\u3032\u3033\u3034\u3035\u303C\u30FC\uFF70\uFF9E\uFF9F"

func wordRune(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_'
	}
	return (unicode.IsLetter(r) || unicode.IsDigit(r)) && !ownWord(r)
}

// ownWord tells whether r is a character that is a word of its own.
func ownWord(r rune) bool {
	if r < 0x1100 {
		return false
	}
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul) || strings.ContainsRune(sharedKana, r)
}

// edges tells on which sides of an occurrence of text a boundary is needed.
func edges(text string) (before, behind bool) {
	first, _ := utf8.DecodeRuneInString(text)
	last, _ := utf8.DecodeLastRuneInString(text)
	return wordRune(first), wordRune(last)
}

// bounded tells whether s[from:to] stands between the boundaries asked for.
func bounded(s string, from, to int, before, behind bool) bool {
	if before && from > 0 {
		if r, _ := utf8.DecodeLastRuneInString(s[:from]); wordRune(r) {
			return false
		}
	}
	if behind && to < len(s) {
		if r, _ := utf8.DecodeRuneInString(s[to:]); wordRune(r) {
			return false
		}
	}
	return true
}

// hasPhrase tells whether text occurs in s between the boundaries asked for.
func hasPhrase(s, text string, before, behind bool) bool {
	for at := 0; ; {
		i := strings.Index(s[at:], text)
		if i < 0 {
			return false
		}
		at += i
		if bounded(s, at, at+len(text), before, behind) {
			return true
		}
		_, n := utf8.DecodeRuneInString(s[at:])
		at += n
	}
}

// hasFolded is hasPhrase without regard to case; text is what foldText gave.
func hasFolded(s string, text []rune, before, behind bool) bool {
	for at, r := range s {
		if foldRune(r) != text[0] {
			continue
		}
		if to := foldedAt(s, at, text); to >= 0 && bounded(s, at, to, before, behind) {
			return true
		}
	}
	return false
}

// foldedAt returns where the occurrence of text at s[at:] ends, -1 when there is none.
func foldedAt(s string, at int, text []rune) int {
	for _, want := range text {
		if at >= len(s) {
			return -1
		}
		r, n := utf8.DecodeRuneInString(s[at:])
		if foldRune(r) != want {
			return -1
		}
		at += n
	}
	return at
}

func foldText(s string) []rune {
	runes := []rune(s)
	for i, r := range runes {
		runes[i] = foldRune(r)
	}
	return runes
}

// foldRune returns the smallest of the characters that are equal to r but for their case (simple folding).
func foldRune(r rune) rune {
	if r < utf8.RuneSelf {
		if 'a' <= r && r <= 'z' {
			r -= 'a' - 'A'
		}
		return r
	}
	least := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		least = min(least, f)
	}
	return least
}

// hasCase tells whether folding changes anything about text.
func hasCase(text string) bool {
	for _, r := range text {
		if unicode.SimpleFold(r) != r {
			return true
		}
	}
	return false
}
