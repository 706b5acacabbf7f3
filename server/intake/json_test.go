package intake

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
)

func TestWalk(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		got := ""
		err := WalkObject([]byte(text), func(key string, v []byte) error { got += key + "=" + string(v) + ";"; return nil })
		if errors.Is(err, ErrNotJSON) {
			got = ""
			err = WalkArray([]byte(text), func(v []byte) error { got += string(v) + ";"; return nil })
		}
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	f(` { "a" : 1 , "b\u0041":"x\"}," ,"c":{"d":[1,{}]},"e":[] } `, `a=1;bA="x\"},";c={"d":[1,{}]};e=[];`)
	f(`{}`, "")
	f(`[]`, "")
	f("[1 ,\n-2.5e3,true,null,\"a]\",[[]],{\"a\":\"}\"}]", `1;-2.5e3;true;null;"a]";[[]];{"a":"}"};`)
	f(`null`, "")
	f(`7`, "error")
	f(`"a"`, "error")
	stop := errors.New("stop")
	if err := WalkArray([]byte(`[1,2]`), func([]byte) error { return stop }); err != stop {
		t.Errorf("%v, want the error of the caller", err)
	}
}

// FuzzWalk holds that the walkers cut as encoding/json does.
func FuzzWalk(f *testing.F) {
	f.Add([]byte(`[1, "a\"]", {"b":[]} ,[[]],null]`))
	f.Fuzz(func(t *testing.T, in []byte) {
		if !ValidJSON(in) {
			return
		}
		var want []json.RawMessage
		if bytes.HasPrefix(bytes.TrimLeft(in, " \t\r\n"), []byte("[")) && json.Unmarshal(in, &want) == nil {
			i := 0
			err := WalkArray(in, func(v []byte) error {
				if i >= len(want) || !bytes.Equal(v, want[i]) {
					t.Fatalf("%q: element %d is %q of %q", in, i, v, want)
				}
				i++
				return nil
			})
			if err != nil || i != len(want) {
				t.Fatalf("%q: %d elements, want %d: %v", in, i, len(want), err)
			}
		}
		var object map[string]json.RawMessage
		if bytes.HasPrefix(bytes.TrimLeft(in, " \t\r\n"), []byte("{")) && json.Unmarshal(in, &object) == nil {
			got := map[string]string{}
			if err := WalkObject(in, func(key string, v []byte) error { got[key] = string(v); return nil }); err != nil || len(got) != len(object) {
				t.Fatalf("%q: %q, %v", in, got, err)
			}
			for key, v := range object {
				if got[key] != string(v) {
					t.Fatalf("%q: %q is %q, want %q", in, key, got[key], v)
				}
			}
		}
	})
}
