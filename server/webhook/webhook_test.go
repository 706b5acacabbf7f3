package webhook

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// post sends a review and returns the status and the answer.
func post(t testing.TB, h http.Handler, body string) (int, review, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("POST", "/webhook/applog", strings.NewReader(body)))
	var out review
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return w.Code, out, w.Body.String()
}

func ask(kind, operation, object string) string {
	return fmt.Sprintf(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u-1","kind":{"group":"","version":"v1","kind":%q},
		"namespace":"shop","operation":%q,"object":%s}}`, kind, operation, object)
}

func pod(dirs string) string {
	return `{"metadata":{"name":"p","annotations":{"tallylog/applog":"` + dirs + `","tallylog/service-uuid":"s"}},"spec":{"containers":[{"name":"c"}]}}`
}

func TestReview(t *testing.T) {
	h := New()
	f := func(body, patch, refusal string) {
		t.Helper()
		code, out, text := post(t, h, body)
		r := out.Response
		if code != http.StatusOK || out.APIVersion != "admission.k8s.io/v1" || out.Kind != "AdmissionReview" || r == nil || r.UID != "u-1" || out.Request != nil {
			t.Fatalf("%s\nis answered with %d %s", body, code, text)
		}
		if !strings.Contains(string(r.Patch), patch) || (patch == "") != (r.Patch == nil) || (patch == "") != (r.PatchType == "") {
			t.Errorf("%s\nis patched %s, want %q", body, r.Patch, patch)
		}
		if r.Allowed != (refusal == "") || refusal != "" && !strings.Contains(r.Status.Message, refusal) {
			t.Errorf("%s\nis answered with %s, want the refusal %q", body, text, refusal)
		}
	}
	f(ask("Pod", "CREATE", pod("web=/var/log/web")), `{"op":"add","path":"/spec/volumes","value":[{"name":"applog-s-endname-web","emptyDir":{}}]}`, "")
	f(ask("Pod", "CREATE", `{"metadata":{},"spec":{"containers":[{"name":"c"}]}}`), "", "")
	f(ask("Pod", "UPDATE", pod("web=/var/log/web")), "", "")
	f(ask("Pod", "DELETE", `null`), "", "")
	f(ask("Deployment", "CREATE", pod("web=/var/log/web")), "", "")
	f(ask("Pod", "CREATE", pod("web=var/log/web")), "", "not absolute")
	f(ask("Pod", "CREATE", pod("web=/a,web=/b")), "", "the title is taken")
	f(ask("Pod", "CREATE", pod(strings.Repeat("x", 60)+"=/a")), "", "too long")
	f(ask("Pod", "CREATE", `[]`), "", "cannot read the pod")
}

func TestRefused(t *testing.T) {
	f := func(body string, want int) {
		t.Helper()
		if code, _, text := post(t, New(), body); code != want {
			t.Errorf("%.80q: %d %s, want %d", body, code, text, want)
		}
	}
	f("", 400)
	f("null", 400)
	f("{}", 400)
	f(`{"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview","request":{"uid":"u"}}`, 400)
	f(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}`, 400)
	f(strings.Repeat(`{"a":`, 100_000), 400)
	f(`"`+strings.Repeat("x", maxBody)+`"`, 413)
}

func FuzzReview(f *testing.F) {
	f.Add(ask("Pod", "CREATE", pod("web=/var/log/web")))
	f.Add(ask("Pod", "DELETE", "null"))
	h := New()
	f.Fuzz(func(t *testing.T, body string) {
		if code, out, text := post(t, h, body); code == http.StatusOK && (out.Response == nil || !out.Response.Allowed && out.Response.Status == nil) {
			t.Errorf("%q is answered with %s", body, text)
		}
	})
}
