package auth

import (
	"slices"
	"sync/atomic"
	"time"
)

// Millis is a time in milliseconds since 1970 UTC; 0 means never. In JSON it is RFC 3339, in UTC.
type Millis int64

func millis(t time.Time) Millis { return Millis(t.UnixMilli()) }

// Time returns m as a time.Time.
func (m Millis) Time() time.Time { return time.UnixMilli(int64(m)).UTC() }

// MarshalJSON implements json.Marshaler. Unlike that of time.Time it never fails, whatever the year.
func (m Millis) MarshalJSON() ([]byte, error) {
	return m.Time().AppendFormat(nil, `"2006-01-02T15:04:05.000Z07:00"`), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *Millis) UnmarshalJSON(b []byte) error {
	var t time.Time
	if err := t.UnmarshalJSON(b); err != nil {
		return err
	}
	*m = millis(t)
	return nil
}

// lastUse is a time that is noted in memory on each use, and in the file once in a while, when other servers are told of it too.
type lastUse struct{ at, written, told atomic.Int64 }

func newLastUse(at Millis) *lastUse {
	u := &lastUse{}
	u.at.Store(int64(at))
	u.written.Store(int64(at))
	u.told.Store(int64(at))
	return u
}

func (u *lastUse) note(at Millis) { u.at.Store(int64(at)) }
func (u *lastUse) load() Millis   { return Millis(u.at.Load()) }
func (u *lastUse) saved() Millis  { return Millis(u.written.Load()) }

// Tenant is one of the parties whose events are kept apart.
type Tenant struct {
	Number  uint32 `json:"number"`
	Name    string `json:"name"`
	Created Millis `json:"created,omitzero"`
}

// User is a person who logs in with a password.
type User struct {
	Name       string   `json:"name"`
	Role       Role     `json:"role"`
	Tenant     string   `json:"tenant"`
	Namespaces []string `json:"namespaces,omitempty"`
	Clusters   []string `json:"clusters,omitempty"`
	Disabled   bool     `json:"disabled"`
	Created    Millis   `json:"created"`
}

type user struct {
	User
	password  string // PHC
	principal Principal
}

func newUser(u User, tenant uint32, password string) *user {
	u.Namespaces, u.Clusters = patterns(u.Namespaces), patterns(u.Clusters)
	return &user{User: u, password: password, principal: Principal{
		Kind: KindUser, ID: u.Name, Name: KindUser + ":" + u.Name, Role: u.Role, Tenant: u.Tenant, TenantID: tenant,
		Namespaces: u.Namespaces, Clusters: u.Clusters,
	}}
}

// patterns of an entry are nil where there are none, as they are asked for and as they are read alike: an entry that is read again must be
// equal to what it was.
func patterns(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return list
}

// same tells whether two entries say the same.
func (u *user) same(o *user) bool {
	return u.Name == o.Name && u.Role == o.Role && u.Tenant == o.Tenant && slices.Equal(u.Namespaces, o.Namespaces) && slices.Equal(u.Clusters, o.Clusters) &&
		u.Disabled == o.Disabled && u.Created == o.Created && u.password == o.password && u.principal.TenantID == o.principal.TenantID
}

// supreme tells whether u can manage everything: an enabled user who is an admin of all tenants.
func (u *user) supreme() bool { return !u.Disabled && u.principal.AllTenants() }

// Token is what is told about an API token; its secret is told once, when it is made.
type Token struct {
	ID         string   `json:"id"`
	Name       string   `json:"name"`
	Role       Role     `json:"role"`
	Tenant     string   `json:"tenant"`
	Namespaces []string `json:"namespaces,omitempty"`
	Clusters   []string `json:"clusters,omitempty"`
	Created    Millis   `json:"created"`
	CreatedBy  string   `json:"created_by"`
	Expires    Millis   `json:"expires,omitzero"`
	LastUsed   Millis   `json:"last_used,omitzero"`
}

type token struct {
	Token
	hash      hash
	principal Principal
	used      *lastUse
}

func newTokenEntry(t Token, tenant uint32, h hash) *token {
	t.Namespaces, t.Clusters = patterns(t.Namespaces), patterns(t.Clusters)
	return &token{Token: t, hash: h, used: newLastUse(t.LastUsed), principal: Principal{
		Kind: KindToken, ID: t.ID, Name: KindToken + ":" + t.ID, Role: t.Role, Tenant: t.Tenant, TenantID: tenant,
		Namespaces: t.Namespaces, Clusters: t.Clusters,
	}}
}

func (t *token) expired(now Millis) bool { return t.Expires != 0 && now >= t.Expires }

// session is one login of a user in a browser. Only the hash of its id is kept, here and in the file.
type session struct {
	hash    hash
	user    string
	created Millis
	used    *lastUse
}

func (e *session) expired(now Millis, idle, most time.Duration) bool {
	return now >= e.created+Millis(most.Milliseconds()) || now >= e.used.load()+Millis(idle.Milliseconds())
}
