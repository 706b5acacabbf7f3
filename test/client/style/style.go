// Package style writes the parameters of requests as OpenAPI's styles have them, for the generated client. In go names and
// values of Go, out comes the text that belongs into an address or a header. It knows what the document uses: texts, numbers,
// booleans, and lists of them.
package style

import (
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"strings"
)

// ParamLocation is where a parameter stands.
type ParamLocation int

// The places there are.
const (
	ParamLocationUndefined ParamLocation = iota
	ParamLocationQuery
	ParamLocationPath
	ParamLocationHeader
	ParamLocationCookie
)

// StyleParamWithLocation writes a parameter in the style "simple" (paths, headers) or "form" (queries); see "Style Values" in
// the specification of OpenAPI 3.0.3. A list is one text with commas, or with explode one name=value for each.
func StyleParamWithLocation(style string, explode bool, name string, at ParamLocation, value any) (string, error) {
	v := reflect.ValueOf(value)
	var texts []string
	switch v.Kind() {
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			texts = append(texts, escape(at, fmt.Sprint(v.Index(i).Interface())))
		}
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int32, reflect.Int64, reflect.Float32, reflect.Float64:
		texts = []string{escape(at, fmt.Sprint(value))}
	default:
		return "", fmt.Errorf("cannot write parameter %q: it is a %T", name, value)
	}
	switch {
	case style == "simple":
		return strings.Join(texts, ","), nil
	case style == "form" && explode:
		key := url.QueryEscape(name) + "="
		return key + strings.Join(texts, "&"+key), nil
	case style == "form":
		return url.QueryEscape(name) + "=" + strings.Join(texts, ","), nil
	}
	return "", fmt.Errorf("cannot write parameter %q: unknown style %q", name, style)
}

func escape(at ParamLocation, s string) string {
	switch at {
	case ParamLocationQuery:
		return url.QueryEscape(s)
	case ParamLocationPath:
		return url.PathEscape(s)
	}
	return s
}

// MarshalForm writes a JSON object as the form that a browser would send. The generator's own library can be told of other
// encodings for single keys; the document has none.
func MarshalForm(object any, _ any) (url.Values, error) {
	text, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("cannot write a form: %w", err)
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(text, &keys); err != nil {
		return nil, fmt.Errorf("cannot write a form: %w", err)
	}
	form := url.Values{}
	for name, raw := range keys {
		var s string
		if json.Unmarshal(raw, &s) != nil { // a number or a boolean stands for itself
			s = string(raw)
		}
		form.Set(name, s)
	}
	return form, nil
}
