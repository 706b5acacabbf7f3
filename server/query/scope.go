package query

import (
	"regexp"
	"strings"
)

// The fields that scopes of access look at.
const (
	NamespaceField = "kubernetes.namespace"
	ClusterField   = "orchestrator.cluster.name" // as ECS calls it
)

// NamespaceScope is FieldScope of kubernetes.namespace.
func NamespaceScope(patterns []string) Expr { return FieldScope(NamespaceField, patterns) }

// FieldScope returns an expression that holds for events whose field is matched by one of the patterns, from end to end; *
// stands for any characters. Only the pattern * (or **) admits events without the field, and no pattern, or an empty one,
// admits nothing. Combine it as And{[]Expr{e, scope}}.
func FieldScope(field string, patterns []string) Expr {
	var scope Or
	for _, p := range patterns {
		switch {
		case p == "":
		case strings.Trim(p, "*") == "":
			return All{}
		case !strings.Contains(p, "*"):
			scope.Terms = append(scope.Terms, Exact{field, p})
		default:
			re := strings.ReplaceAll(regexp.QuoteMeta(p), `\*`, `(?s:.*)`)
			scope.Terms = append(scope.Terms, Regexp{field, `\A` + re + `\z`})
		}
	}
	return scope
}
