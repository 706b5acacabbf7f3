package push

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tallylog/tally/server/auth"
	"github.com/tallylog/tally/server/intake"
	"github.com/tallylog/tally/server/intake/intaketest"
)

func TestContract(t *testing.T) {
	intaketest.Contract(t, intaketest.Room{
		Register: func(g *intake.Gate, mux *http.ServeMux, wrap intake.Wrap) {
			mux.Handle("POST /api/v1/push", wrap(auth.Push, (*Handler)(g)))
		},
		Path: "/api/v1/push", Media: "application/json", OK: 200, Busy: 503, Partial: true,
		Body: func(namespace string, messages ...string) []byte {
			var b strings.Builder
			for i, m := range messages {
				b.WriteString(map[bool]string{true: "[", false: ","}[i == 0])
				fmt.Fprintf(&b, `{"message":%q`, m)
				if namespace != "" {
					fmt.Fprintf(&b, `,"kubernetes":{"namespace":%q}`, namespace)
				}
				b.WriteString("}")
			}
			return []byte(b.String() + "]")
		},
	})
}
