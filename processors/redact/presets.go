package redact

import (
	"net/netip"
	"regexp"
	"strings"
)

// span is a stretch of a text.
type span struct {
	from, to int
	name     string
}

// finder appends the stretches of s to mask.
type finder func(s string, to []span) []span

// presets in alphabetical order.
func presets() map[string]finder {
	return map[string]finder{
		"aws_access_key": aws,
		"credit_card":    card,
		"email":          email,
		"ip": func(s string, to []span) []span {
			return address(s, address(s, to, "ip", '.', 3), "ip", ':', 2)
		},
		"ipv4":   func(s string, to []span) []span { return address(s, to, "ipv4", '.', 3) },
		"ipv6":   func(s string, to []span) []span { return address(s, to, "ipv6", ':', 2) },
		"jwt":    jwt,
		"secret": secret,
	}
}

var (
	awsRE   = regexp.MustCompile(`\b(?:AKIA|ASIA|AGPA|AIDA|AROA|AIPA|ANPA|ANVA)[A-Z0-9]{16}\b`)
	emailRE = regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}`)
	jwtRE   = regexp.MustCompile(`\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?`)
)

func all(re *regexp.Regexp, name, s string, to []span) []span {
	for _, m := range re.FindAllStringIndex(s, -1) {
		to = append(to, span{m[0], m[1], name})
	}
	return to
}

// aws finds access key ids, in the form that AWS' documentation of IAM identifiers gives them.
func aws(s string, to []span) []span {
	if !strings.Contains(s, "A") {
		return to
	}
	return all(awsRE, "aws_access_key", s, to)
}

func email(s string, to []span) []span {
	if strings.IndexByte(s, '@') < 0 {
		return to
	}
	return all(emailRE, "email", s, to)
}

// jwt finds tokens of RFC 7519; the header of each begins with {" in base64.
func jwt(s string, to []span) []span {
	if !strings.Contains(s, "eyJ") {
		return to
	}
	return all(jwtRE, "jwt", s, to)
}

// forms are what tokens of well-known services and private keys look like, and the passwords in URLs, with no name before them: GitHub, GitLab, Slack, Stripe,
// Google, npm, PEM (RFC 7468). The group, where there is one, is what is secret.
var formsRE = regexp.MustCompile(`\b(?:gh[opsur]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255}|glpat-[A-Za-z0-9_-]{20,255}|xox[abeoprs]-[A-Za-z0-9-]{10,255}|` +
	`[rs]k_(?:live|test)_[A-Za-z0-9]{16,255}|AIza[A-Za-z0-9_-]{35}|npm_[A-Za-z0-9]{36})` +
	`|-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----[A-Za-z0-9+/=\s\\]*(?:-----END [A-Z ]{0,32}PRIVATE KEY-----)?` +
	`|://[^\s/?#:@"'<>]*:([^\s/?#@"'<>]+)@`)

// marks stand in every text that formsRE fits: looking for them is much cheaper.
var marks = []string{"gh", "glpat-", "xox", "k_live_", "k_test_", "AIza", "npm_", "PRIVATE KEY-----", "://"}

// forms finds secrets by what they look like.
func forms(s string, to []span) []span {
	for _, m := range marks {
		if !strings.Contains(s, m) || m == "gh" && !strings.Contains(s, "_") || m == "://" && !strings.Contains(s, "@") {
			continue
		}
		for _, m := range formsRE.FindAllStringSubmatchIndex(s, -1) {
			if m[2] >= 0 {
				m = m[2:]
			}
			to = append(to, span{m[0], m[1], "secret"})
		}
		break
	}
	return to
}

func digit(c byte) bool { return c-'0' < 10 }

func word(c byte) bool { return digit(c) || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c >= 0x80 }

// card finds numbers of 13 to 19 digits, in groups or not, that begin as those of the card companies do (2 to 6) and whose last
// digit is right (ISO/IEC 7812-1, Luhn).
func card(s string, to []span) []span {
	for i := 0; i < len(s); {
		if !digit(s[i]) {
			i++
			continue
		}
		if i > 0 && word(s[i-1]) || s[i] < '2' || s[i] > '6' {
			i = group(s, i)
			continue
		}
		end := cardFrom(s, i)
		if end == 0 {
			i = group(s, i)
			continue
		}
		to = append(to, span{i, end, "credit_card"})
		i = end
	}
	return to
}

// group is the end of the digits at i.
func group(s string, i int) int {
	for i < len(s) && digit(s[i]) {
		i++
	}
	return i
}

// cardFrom is the end of the longest card number that begins at i, or 0.
func cardFrom(s string, i int) int {
	var digits [19]byte
	n, best := 0, 0
	for i < len(s) {
		end := group(s, i)
		if end == i || n+end-i > len(digits) {
			break
		}
		n += copy(digits[n:], s[i:end])
		if n >= 13 && (end == len(s) || !word(s[end])) && luhn(digits[:n]) {
			best = end
		}
		if end < len(s) && (s[end] == ' ' || s[end] == '-') {
			end++
		}
		i = end
	}
	return best
}

func luhn(d []byte) bool {
	sum := 0
	for i := range d {
		x := int(d[len(d)-1-i] - '0')
		if i%2 == 1 {
			if x *= 2; x > 9 {
				x -= 9
			}
		}
		sum += x
	}
	return sum%10 == 0
}

// address finds IP addresses with at least so many of the separator.
func address(s string, to []span, name string, separator byte, least int) []span {
	if strings.IndexByte(s, separator) < 0 {
		return to
	}
	part := func(c byte) bool {
		return digit(c) || c == '.' || separator == ':' && (c == ':' || c|0x20 >= 'a' && c|0x20 <= 'f')
	}
	for i := 0; i < len(s); {
		if !part(s[i]) {
			i++
			continue
		}
		from := i
		for i < len(s) && part(s[i]) {
			i++
		}
		if from > 0 && word(s[from-1]) || i < len(s) && word(s[i]) {
			continue
		}
		text := strings.TrimRight(s[from:i], ".")
		for text != "" && strings.Count(text, string(separator)) >= least {
			if ip, err := netip.ParseAddr(text); err == nil && (ip.Is4() == (separator == '.')) {
				to = append(to, span{from, from + len(text), name})
				break
			}
			if separator == '.' || text[len(text)-1] != ':' {
				break
			}
			text = text[:len(text)-1]
		}
	}
	return to
}

// names are the ends of names whose values are secret.
var names = []string{"password", "passwd", "pwd", "passphrase", "secret", "token", "apikey", "api_key", "api-key", "access_key", "access-key", "accesskey", "secretkey",
	"secret_key", "secret-key", "private_key", "private-key", "authorization", "credentials", "sessionid", "session_id"}

// secret finds the values after names such as password, with = or : between, in quotes or not, and what looks like a secret by itself.
func secret(s string, to []span) []span {
	to = forms(s, to)
	for i := 0; i < len(s); i++ {
		if s[i] != '=' && s[i] != ':' {
			continue
		}
		end := i
		for end > 0 && strings.IndexByte(" \"'\\", s[end-1]) >= 0 {
			end--
		}
		from := end
		for from > 0 && (word(s[from-1]) || s[from-1] == '-') && end-from < 64 {
			from--
		}
		if !secretName(strings.ToLower(s[from:end])) {
			continue
		}
		a, b := value(s, i+1)
		if b > a {
			to = append(to, span{a, b, "secret"})
			i = b - 1
		}
	}
	return to
}

func secretName(name string) bool {
	for _, n := range names {
		if strings.HasSuffix(name, n) {
			return true
		}
	}
	return false
}

// value gives the bounds of the value at i, without its quotes and without a scheme such as Bearer.
func value(s string, i int) (from, to int) {
	for i < len(s) && (s[i] == ' ' || s[i] == '=' || s[i] == '>') {
		i++
	}
	quote := ""
	for _, q := range []string{`\"`, `"`, `'`} {
		if strings.HasPrefix(s[i:], q) {
			quote = q
			i += len(q)
			break
		}
	}
	for _, scheme := range []string{"bearer ", "basic ", "token ", "digest "} {
		if len(s)-i > len(scheme) && strings.EqualFold(s[i:i+len(scheme)], scheme) {
			i += len(scheme)
		}
	}
	end := i
	for end < len(s) {
		if quote != "" && strings.HasPrefix(s[end:], quote) || quote == "" && strings.IndexByte(" \t\r\n,;&\"'}])<>", s[end]) >= 0 {
			break
		}
		if quote != "" && quote != `\"` && s[end] == '\\' {
			end++
		}
		end++
	}
	return i, min(end, len(s))
}
