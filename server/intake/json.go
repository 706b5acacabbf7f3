package intake

import (
	"encoding/json"
	"errors"
)

// ErrNotJSON means text that is no JSON value of the shape wanted.
var ErrNotJSON = errors.New("not valid JSON of the shape wanted")

// ValidJSON tells whether b is one JSON value. The walkers below need it to be: they only look for where values end, and so
// make nothing of a body but slices of it, however many values it has.
func ValidJSON(b []byte) bool { return json.Valid(b) }

// WalkObject calls f with the key and the text of each member of the object b, until it returns an error. An object that is
// null has none.
func WalkObject(b []byte, f func(key string, value []byte) error) error {
	return walk(b, '{', func(i int) (int, error) {
		end := skipString(b, i)
		var key string
		if err := json.Unmarshal(b[i:end], &key); err != nil {
			return 0, ErrNotJSON
		}
		at := skipSpace(b, skipSpace(b, end)+1) // behind the colon
		end = skipValue(b, at)
		return end, f(key, b[at:end])
	})
}

// WalkArray calls f with the text of each element of the array b, until it returns an error. An array that is null has none.
func WalkArray(b []byte, f func(value []byte) error) error {
	return walk(b, '[', func(i int) (int, error) {
		end := skipValue(b, i)
		return end, f(b[i:end])
	})
}

func walk(b []byte, open byte, item func(i int) (end int, err error)) error {
	i := skipSpace(b, 0)
	if i < len(b) && b[i] == 'n' {
		return nil
	}
	if i >= len(b) || b[i] != open {
		return ErrNotJSON
	}
	i = skipSpace(b, i+1)
	for i < len(b) && b[i] != '}' && b[i] != ']' {
		end, err := item(i)
		if err != nil {
			return err
		}
		if i = skipSpace(b, end); i < len(b) && b[i] == ',' {
			i = skipSpace(b, i+1)
		}
	}
	return nil
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the place behind the string that begins at i.
func skipString(b []byte, i int) int {
	for i++; i < len(b) && b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return min(i+1, len(b))
}

// skipValue returns the place behind the value that begins at i.
func skipValue(b []byte, i int) int {
	for depth := 0; i < len(b); {
		switch b[i] {
		case '"':
			if i = skipString(b, i); depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth < 0 {
				return i // the end of what the value is in
			}
			if depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return i
}
