package strictyaml

import (
	"reflect"
	"strings"
	"testing"
)

type sample struct {
	Name    string            `yaml:"name,required"`
	Count   int               `yaml:"count"`
	Share   float64           `yaml:"share"`
	On      *bool             `yaml:"on"`
	Words   Texts             `yaml:"words"`
	Map     map[string]string `yaml:"map"`
	Any     any               `yaml:"any"`
	Raw     Node              `yaml:"raw"`
	List    []inner           `yaml:"list"`
	private int
}

var _ = sample{}.private // it is there to be no key

type inner struct {
	Key string `yaml:"key,required"`
}

func decode(text string) (sample, error) {
	s := sample{Count: 7}
	n, err := Parse("f.yml", []byte(text), func(k string) (string, bool) { return "env " + k, k == "V" })
	if err == nil {
		err = n.Decode(&s)
	}
	return s, err
}

func TestDecode(t *testing.T) {
	s, err := decode("name: ${V}\ncount:\nshare: 0.5\non: false\nwords: one\nmap: {a: 1}\nany: [1, x]\nraw: {k: v}\nlist:\n- key: ${W:w}\n")
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "env V" || s.Count != 7 || s.Share != 0.5 || s.On == nil || *s.On || !reflect.DeepEqual(s.Words, Texts{"one"}) || s.Map["a"] != "1" ||
		!reflect.DeepEqual(s.Any, []any{1, "x"}) || s.List[0].Key != "w" || s.Raw.Path() != "raw" || s.Raw.At("k").Value() != "v" {
		t.Errorf("got %+v", s)
	}
	k, rest := s.Raw.Take("k")
	if k.Value() != "v" || rest.At("k").Value() == "v" || s.Raw.At("k").Value() != "v" {
		t.Error("Take does not split the key off, or changes the whole")
	}
}

func TestErrors(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if _, err := decode(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q:\n got %v\nwant %s", text, err, want)
		}
	}
	f("count: 1\n", "f.yml:1: the key name is missing")
	f("name:\n", "the key name is missing")
	f("", "the key name is missing")
	f("name: a\nlist:\n- key: b\n- {}\n", "f.yml:4: list[1]: the key key is missing")
	f("name: a\nconut: 1\n", "f.yml:2: conut: unknown key; known here are any, count, list, map, name, on, raw, share, words; did you mean count?")
	f("name: a\nshare: x\n", `f.yml:2: share: "x" is not a number`)
	f("name: a\nmap: x\n", "f.yml:2: map: keys and values")
	f("name: a\nmap: {x: [1]}\n", "f.yml:2: map.x: a single value")
	f("name: a\nname: b\n", "f.yml:2: name: the key stands twice")
	f("name: a\nprivate: 1\n", "private: unknown key")
	f("name: [a\n", "f.yml:")
	f("name: a\n---\ncount: 1\n", "f.yml:2: a second document")
	f("name: a\n---\n[\n", "f.yml:")
	f("name: ${NO}\n", "f.yml:1: environment variable NO is not set")
}

func FuzzParse(f *testing.F) {
	f.Add("name: x\nlist: [{key: y}]\n")
	f.Add("list: &x [*x]\n")
	f.Add("any: &x {a: *x}\nname: ${V}\n")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := decode(text); err != nil && !strings.Contains(err.Error(), "f.yml") && !strings.Contains(err.Error(), "missing") {
			t.Errorf("the error does not name the file: %v", err)
		}
	})
}
