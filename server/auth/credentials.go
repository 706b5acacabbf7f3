package auth

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// A token's secret is tokenPrefix and 32 random bytes in lower-case hex. Because nobody can guess 256 random bits, its plain
// SHA-256 is all that has to be kept: a slow hash protects secrets that people choose, and would cost each request its time.
const (
	tokenPrefix = "tly_"
	tokenLen    = len(tokenPrefix) + 2*sha256.Size
)

// Names of the session cookie and of the header that must come with it.
const (
	CookieName = "tally_session"
	CSRFHeader = "Tally-CSRF"
)

// maxHeader bounds the Authorization header that is looked at: the longest password in base64, and room to spare.
const maxHeader = 4096

type hash = [sha256.Size]byte

func newToken() (secret string, h hash) {
	secret = tokenPrefix + hex.EncodeToString(random(sha256.Size))
	return secret, sha256.Sum256([]byte(secret))
}

// looksLikeToken tells whether s has the form of a token's secret. No user may have such a password.
func looksLikeToken(s string) bool {
	return len(s) == tokenLen && strings.HasPrefix(s, tokenPrefix)
}

// credentials are what an Authorization header holds: a token's secret, or a user's name and password.
type credentials struct {
	token          string
	user, password string
}

// parseAuthorization reads the value of an Authorization header: Bearer (RFC 6750) or Basic (RFC 7617, UTF-8), the scheme in
// any case. A token may also come as the password of Basic, with any user name, for clients that know no other way.
func parseAuthorization(value string) (credentials, bool) {
	scheme, rest, ok := strings.Cut(value, " ")
	if !ok || len(value) > maxHeader {
		return credentials{}, false
	}
	rest = strings.Trim(rest, " ")
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		if rest == "" || strings.ContainsAny(rest, " \t") {
			return credentials{}, false
		}
		return credentials{token: rest}, true
	case strings.EqualFold(scheme, "Basic"):
		b, err := base64.StdEncoding.DecodeString(rest)
		if err != nil || !utf8.Valid(b) {
			return credentials{}, false
		}
		user, password, ok := strings.Cut(string(b), ":")
		if !ok || password == "" {
			return credentials{}, false
		}
		if looksLikeToken(password) {
			return credentials{token: password}, true
		}
		return credentials{user: user, password: password}, user != ""
	}
	return credentials{}, false
}

// tokenInURL tells whether a query string names a token. URLs end up in logs and histories, so such a token is not merely
// ignored: the request is refused, for its sender to notice.
func tokenInURL(u *url.URL) bool {
	if u.RawQuery == "" {
		return false
	}
	values, _ := url.ParseQuery(u.RawQuery) // what could be read is there in spite of an error
	for name := range values {
		switch strings.ToLower(name) {
		case "token", "access_token", "api_key":
			return true
		}
	}
	return false
}

// isSafe tells whether a method changes nothing, so that a request with the cookie needs no CSRF header.
func isSafe(method string) bool { return method == http.MethodGet || method == http.MethodHead }
