package strictyaml

import (
	"encoding"
	"reflect"
	"slices"
	"strings"
)

// maxDepth bounds the nesting, which anchors can make endless.
const maxDepth = 100

// Texts is a list of texts; where there is one it may stand alone, as Beats allow.
type Texts []string

// Decode fills what to points to. Fields of structs are named by their tag yaml:"name", or yaml:"name,required" where the key
// must be there. A key without a value keeps its default.
func (n Node) Decode(to any) error {
	return n.value(reflect.ValueOf(to).Elem(), 0)
}

var (
	nodeType  = reflect.TypeFor[Node]()
	textsType = reflect.TypeFor[Texts]()
)

func (n Node) value(v reflect.Value, depth int) error {
	if v.Type() == nodeType {
		if !n.IsZero() {
			v.Set(reflect.ValueOf(n))
		}
		return nil
	}
	n = n.resolve()
	if n.IsZero() && v.Kind() != reflect.Struct {
		return nil
	}
	if depth > maxDepth {
		return n.Errorf("the nesting is too deep")
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if !n.IsText() {
			return n.Errorf("a single value is wanted")
		}
		return n.Place(u.UnmarshalText([]byte(n.yaml.Value)))
	}
	switch v.Kind() {
	case reflect.Struct:
		return n.structure(v, depth)
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		v.Set(p)
		return n.value(p.Elem(), depth+1)
	case reflect.Map:
		m := reflect.MakeMap(v.Type())
		v.Set(m)
		return n.Pairs(func(name string, _, value Node) error {
			x := reflect.New(v.Type().Elem()).Elem()
			err := value.value(x, depth+1)
			m.SetMapIndex(reflect.ValueOf(name), x)
			return err
		})
	case reflect.Slice:
		if v.Type() == textsType && n.IsText() {
			v.Set(reflect.ValueOf(Texts{n.yaml.Value}))
			return nil
		}
		items, err := n.Items()
		if err != nil {
			return err
		}
		out := reflect.MakeSlice(v.Type(), len(items), len(items))
		for i, c := range items {
			if err := c.value(out.Index(i), depth+1); err != nil {
				return err
			}
		}
		v.Set(out)
		return nil
	}
	return n.single(v)
}

func (n Node) single(v reflect.Value) error {
	if v.Kind() == reflect.Interface {
		return n.Place(n.yaml.Decode(v.Addr().Interface()))
	}
	if !n.IsText() {
		return n.Errorf("a single value is wanted")
	}
	if err := n.yaml.Decode(v.Addr().Interface()); err != nil {
		want := map[reflect.Kind]string{reflect.Int: "a whole number", reflect.Int64: "a whole number", reflect.Float64: "a number", reflect.Bool: "true or false"}[v.Kind()]
		return n.Errorf("%q is not %s", n.yaml.Value, want)
	}
	return nil
}

func (n Node) structure(v reflect.Value, depth int) error {
	fields := map[string]int{}
	var names, required []string
	for i := range v.NumField() {
		name, must, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		if name == "" {
			continue
		}
		fields[name] = i
		names = append(names, name)
		if must == "required" {
			required = append(required, name)
		}
	}
	slices.Sort(names)
	if !n.IsZero() {
		err := n.Pairs(func(name string, key, value Node) error {
			f, ok := fields[name]
			if !ok {
				return key.Errorf("unknown key; %s", Known(name, names))
			}
			required = slices.DeleteFunc(required, func(s string) bool { return s == name && !value.IsZero() })
			return value.value(v.Field(f), depth+1)
		})
		if err != nil {
			return err
		}
	}
	if len(required) > 0 {
		return n.Errorf("the key %s is missing", required[0])
	}
	return nil
}

// Known says which names there are, for the message about one that is not, and which of them may have been meant.
func Known(name string, names []string) string {
	s := "known here are " + strings.Join(names, ", ")
	best, least := "", max(1, len(name)/3)+1
	for _, n := range names {
		if d := distance(name, n); d < least {
			best, least = n, d
		}
	}
	if best != "" {
		s += "; did you mean " + best + "?"
	}
	return s
}

// distance is the number of bytes to insert, delete, change or swap with a neighbour to get from a to b.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
