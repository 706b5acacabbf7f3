package dialect

import (
	"fmt"
	"strconv"
	"strings"
)

// Get returns what stands at a dotted key; list elements are named by their index. A key without a value is as good as none.
func Get(c map[string]any, key string) (v any, ok bool) {
	v = c
	for part := range strings.SplitSeq(key, ".") {
		switch t := v.(type) {
		case map[string]any:
			if v = t[part]; v == nil {
				return nil, false
			}
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(t) {
				return nil, false
			}
			v = t[i]
		default:
			return nil, false
		}
	}
	return v, v != nil
}

// Take removes what stands at a dotted key of maps, and maps that it leaves empty, and returns it. A key without a value goes, too,
// but is as good as none.
func Take(c map[string]any, key string) (v any, ok bool) {
	head, tail, deeper := strings.Cut(key, ".")
	if !deeper {
		v = c[head]
		delete(c, head)
		return v, v != nil
	}
	child, isMap := c[head].(map[string]any)
	if !isMap {
		return nil, false
	}
	if v, ok = Take(child, tail); len(child) == 0 {
		delete(c, head)
	}
	return v, ok
}

// Put sets a dotted key, making maps where there are none. A scalar in the way is replaced.
func Put(c map[string]any, key string, v any) {
	head, tail, deeper := strings.Cut(key, ".")
	if !deeper {
		c[head] = v
		return
	}
	child, ok := c[head].(map[string]any)
	if !ok {
		child = map[string]any{}
		c[head] = child
	}
	Put(child, tail, v)
}

// Append adds elements to the list at a dotted key, and returns the index of the first one. What stands there and is no list
// becomes the first element, as Beats read it.
func Append(c map[string]any, key string, elements ...any) int {
	old, _ := Get(c, key)
	list := List(old)
	Put(c, key, append(append([]any{}, list...), elements...))
	return len(list)
}

// List reads a value as Beats do: a list is itself, nothing is none, and anything else a list of one.
func List(v any) []any {
	switch t := v.(type) {
	case nil:
		return nil
	case []any:
		return t
	}
	return []any{v}
}

// Text reads a scalar as text: "5s", 5, true.
func Text(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}
