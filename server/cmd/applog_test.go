package cmd

import (
	"bytes"
	"strings"
	"testing"
)

func TestApplogCompose(t *testing.T) {
	const in = "kind: Deployment\nmetadata:\n  name: web\nspec:\n  template:\n    spec:\n      containers:\n      - name: c\n"
	f := func(code int, want, in string, args ...string) {
		t.Helper()
		var out, errOut bytes.Buffer
		got := Main(append([]string{"applog", "compose"}, args...), strings.NewReader(in), &out, &errOut)
		if all := out.String() + errOut.String(); got != code || !strings.Contains(all, want) {
			t.Errorf("%v: %d, want %d and %q in\n%s", args, got, code, want, all)
		}
	}
	f(0, "- name: applog-s-endname-a\n", in, "-f", "-", "--service", "s", "--dir", "a=/a", "--dir", "b=/b")
	f(0, "mountPath: /b\n", in, "-f", "-", "--service", "s", "--dir", "a=/a,b=/b", "--container", "c")
	f(0, "applog-", in, "-f", "-", "--dir", "a=/a", "-n", "shop")
	f(0, "mountPath: /var/log/web", "", "-f", "../../deploy/applog/testdata/deployment.yaml")
	f(2, "no log directories", in, "-f", "-")
	f(2, `the path "a" is not absolute`, in, "-f", "-", "--service", "s", "--dir", "a=a")
	f(2, "title=path is wanted", in, "-f", "-", "--dir", "a")
	f(2, `no container "x"`, in, "-f", "-", "--dir", "a=/a", "--container", "x")
	f(2, "cannot read the manifest", "", "-f", "/nowhere/x")
	f(2, "x", in, "-f", "-", "x")
}
