package auth

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"unicode"
	"unicode/utf8"

	"github.com/tallylog/tally/server/answer"
)

const (
	maxPatterns    = 200 // in each scope
	maxTokenName   = 128 // bytes
	minPasswordLen = 8   // bytes, as NIST SP 800-63B has it
	maxPasswordLen = 1024
)

var (
	userName   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)
	tenantName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)
	// namespacePattern has room for more than Kubernetes allows (RFC 1123 labels), for other sources have namespaces too.
	namespacePattern = regexp.MustCompile(`^[A-Za-z0-9*_.-]{1,253}$`)
	// clusterPattern has room for the resource names by which cloud providers call clusters.
	clusterPattern = regexp.MustCompile(`^[A-Za-z0-9*_.:/@-]{1,253}$`)
)

// invalid is the answer to a value that cannot be taken; its message begins with the name of the field.
func invalid(field, format string, args ...any) error {
	return answer.Errorf(http.StatusBadRequest, "invalid", "%s: %s", field, fmt.Sprintf(format, args...))
}

func forbidden(format string, args ...any) error {
	return answer.Errorf(http.StatusForbidden, "forbidden", format, args...)
}

func notFound(what, name string) error {
	return answer.Errorf(http.StatusNotFound, "not_found", "there is no %s %q", what, name)
}

func conflict(format string, args ...any) error {
	return answer.Errorf(http.StatusConflict, "conflict", format, args...)
}

func checkUserName(name string) error {
	if !userName.MatchString(name) {
		return invalid("name", "want 1 to 64 of the characters A-Z a-z 0-9 . _ @ -, the first a letter or digit")
	}
	return nil
}

func checkTokenName(name string) error {
	if name == "" || len(name) > maxTokenName || !utf8.ValidString(name) {
		return invalid("name", "want 1 to %d bytes of text", maxTokenName)
	}
	for _, c := range name {
		if !unicode.IsPrint(c) {
			return invalid("name", "holds a character that cannot be printed")
		}
	}
	return nil
}

func checkPasswordForm(field, password string) error {
	switch {
	case len(password) < minPasswordLen || len(password) > maxPasswordLen:
		return invalid(field, "want %d to %d bytes", minPasswordLen, maxPasswordLen)
	case !utf8.ValidString(password):
		return invalid(field, "is not UTF-8")
	case looksLikeToken(password):
		return invalid(field, "has the form of an API token")
	}
	return nil
}

func checkRole(r Role) error {
	if !r.valid() {
		return invalid("role", "want admin, operator, reader or push")
	}
	return nil
}

// checkPatterns checks the patterns of the key field against form, which allows the letters, the digits and characters.
func checkPatterns(field string, patterns []string, form *regexp.Regexp, characters string) error {
	if len(patterns) > maxPatterns {
		return invalid(field, "has %d patterns, at most %d are allowed", len(patterns), maxPatterns)
	}
	for i, p := range patterns {
		if !form.MatchString(p) {
			return invalid(fmt.Sprintf("%s[%d]", field, i), "want 1 to 253 of the characters A-Z a-z 0-9 %s", characters)
		}
	}
	return nil
}

// scope finds the tenant that a request of by names (its own where it names none) and refuses a scope that by may not manage.
func (s *Store) scope(by Principal, tenant string, namespaces, clusters []string) (Tenant, error) {
	if !by.Allows(Manage) {
		return Tenant{}, forbidden("the role %q may not manage users, tokens and tenants", by.Role)
	}
	if err := checkPatterns("namespaces", namespaces, namespacePattern, "* _ . -"); err != nil {
		return Tenant{}, err
	}
	if err := checkPatterns("clusters", clusters, clusterPattern, "* _ . : / @ -"); err != nil {
		return Tenant{}, err
	}
	s.mu.RLock()
	t := s.numbers[by.TenantID]
	s.mu.RUnlock()
	if tenant != "" && tenant != t.Name {
		if !by.AllTenants() {
			return Tenant{}, forbidden("tenant: it lies outside of what you may manage")
		}
		var ok bool
		if t, ok = s.tenant(tenant); !ok {
			return Tenant{}, invalid("tenant", "there is no tenant %q", tenant)
		}
	}
	if !by.mayManage(Principal{TenantID: t.Number, Namespaces: namespaces, Clusters: clusters}) {
		return Tenant{}, forbidden("namespaces, clusters: they must lie within your own")
	}
	return t, nil
}

// patternsJSON is how the patterns of a scope are kept in the file.
func patternsJSON(patterns []string) string {
	if len(patterns) == 0 {
		return "[]"
	}
	b, _ := json.Marshal(patterns) // strings can always be encoded
	return string(b)
}
