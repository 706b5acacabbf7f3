package auth

import (
	"context"
	"net/http"
	"slices"
	"strings"
)

// Role says what a principal may do; see Principal.Allows. The zero value allows nothing.
type Role string

const (
	RoleAdmin    Role = "admin"    // everything within its tenant; see Principal.AllTenants for the rest
	RoleOperator Role = "operator" // reads, pushes, sees operations
	RoleReader   Role = "reader"   // only reads
	RolePush     Role = "push"     // only writes
)

func (r Role) valid() bool {
	switch r {
	case RoleAdmin, RoleOperator, RoleReader, RolePush:
		return true
	}
	return false
}

// Action is what a handler lets its caller do.
type Action int

const (
	// Enter is allowed to every principal; for handlers that give away nothing but who the caller is, or the product's name.
	Enter   Action = iota + 1
	Push           // write events
	Read           // query events
	Operate        // see the state of agents, storage, pipelines
	Manage         // users, tokens, tenants, audit log
)

// Kinds of principals.
const (
	KindUser     = "user"
	KindToken    = "token"
	KindLoopback = "loopback"
)

// Principal is who asks. It is a value; Namespaces and Clusters are shared and must not be changed.
type Principal struct {
	// Kind is one of the Kind constants; ID is the name of the user, the id of the token, or the common name of the certificate.
	Kind, ID string
	// Name is the client identity of the ledger: "user:<name>", "token:<id>", "cert:<common name>", or "lumberjack". It is
	// stable: a token keeps its id when its secret is rotated.
	Name string
	Role Role
	// Tenant is the name, TenantID the number of the tenant; the tenant "default" has number 0.
	Tenant   string
	TenantID uint32
	// Namespaces are patterns on the field kubernetes.namespace; empty means all of the tenant. In a pattern "*" stands for
	// any run of characters, everything else for itself.
	Namespaces []string
	// Clusters are such patterns on the field orchestrator.cluster.name (ECS). What p may touch lies within both scopes.
	Clusters []string
}

// Allows tells whether the role of p permits a. Tenant, namespaces and clusters narrow further what it permits it on.
func (p Principal) Allows(a Action) bool {
	switch p.Role {
	case RoleAdmin:
		return a >= Enter && a <= Manage
	case RoleOperator:
		return a >= Enter && a <= Operate
	case RoleReader:
		return a == Enter || a == Read
	case RolePush:
		return a == Enter || a == Push
	}
	return false
}

// AllowsNamespace tells whether p may read or write events of namespace ns. An event without a namespace (ns is empty) is
// outside every scope: only a principal without Namespaces may touch it.
func (p Principal) AllowsNamespace(ns string) bool { return Within(p.Namespaces, ns) }

// AllowsCluster is AllowsNamespace for the cluster of an event and Clusters.
func (p Principal) AllowsCluster(cluster string) bool { return Within(p.Clusters, cluster) }

// Within tells whether one of the patterns matches value; none at all let everything in, and otherwise an empty value is out.
func Within(patterns []string, value string) bool {
	if len(patterns) == 0 {
		return true
	}
	if value == "" {
		return false
	}
	for _, pattern := range patterns {
		if match(pattern, value) {
			return true
		}
	}
	return false
}

// Scoped tells whether p is narrowed to a part of its tenant.
func (p Principal) Scoped() bool { return len(p.Namespaces) > 0 || len(p.Clusters) > 0 }

// AllTenants tells whether p may manage every tenant: it is an admin of the tenant "default" that no scope narrows.
func (p Principal) AllTenants() bool {
	return p.Role == RoleAdmin && p.TenantID == DefaultTenant && !p.Scoped()
}

// mayManage tells whether p may see, make, change or remove something of the tenant and scope of other; nothing else of other
// counts. It is the one rule that keeps an admin from handing out, or taking over, more than they have.
func (p Principal) mayManage(other Principal) bool {
	return p.AllTenants() || p.Allows(Manage) && p.TenantID == other.TenantID &&
		covers(p.Namespaces, other.Namespaces) && covers(p.Clusters, other.Clusters)
}

// Loopback is the principal of a Lumberjack client on the loopback interface without TLS, which needs no credentials.
func Loopback() Principal {
	return Principal{Kind: KindLoopback, ID: "lumberjack", Name: "lumberjack", Role: RolePush, Tenant: DefaultTenantName, TenantID: DefaultTenant}
}

// match tells whether s matches a pattern in which only "*" is special. It takes time of at most len(pattern)*len(s).
func match(pattern, s string) bool {
	star, mark := -1, 0 // where the last "*" was, and how far s was when it is taken to end
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && pattern[p] == s[i]:
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// same tells whether p and q are the same client, and may do and see the same.
func (p Principal) same(q Principal) bool {
	return p.Name == q.Name && p.Role == q.Role && p.TenantID == q.TenantID && slices.Equal(p.Namespaces, q.Namespaces) && slices.Equal(p.Clusters, q.Clusters)
}

// covers tells whether each value that the patterns inner allow is allowed by a single pattern of outer. For two
// patterns the answer is exact: inner lies within outer if outer still matches when every "*" of inner is replaced by a
// character that no pattern can hold, for only a "*" of outer can match that one. A scope that only several patterns of
// outer together would cover is refused, which errs on the safe side.
func covers(outer, inner []string) bool {
	if len(outer) == 0 {
		return true
	}
	if len(inner) == 0 {
		return false
	}
	for _, in := range inner {
		in = strings.ReplaceAll(in, "*", "\x00")
		found := false
		for _, out := range outer {
			found = found || match(out, in)
		}
		if !found {
			return false
		}
	}
	return true
}

// grant is what Authenticate found out: the principal, and the session where it came by cookie.
type grant struct {
	Principal
	session *session // nil without a cookie
	csrf    string   // empty without a cookie
	// holds tells whether the credentials are still good, and as the same principal; nil without credentials.
	holds func() bool
}

type grantKey struct{}

// FromContext returns the principal that Require put into the context of a request. Without one the Principal allows nothing.
func FromContext(ctx context.Context) (Principal, bool) {
	g, ok := ctx.Value(grantKey{}).(*grant)
	if !ok {
		return Principal{}, false
	}
	return g.Principal, true
}

// NewContext returns a context that carries p, for handlers that are called without HTTP and for their tests.
func NewContext(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, grantKey{}, &grant{Principal: p})
}

func grantOf(r *http.Request) *grant {
	g, _ := r.Context().Value(grantKey{}).(*grant)
	return g
}
