package auth

import "fmt"

// KindCertificate is the kind of a Lumberjack client with a certificate.
const KindCertificate = "certificate"

// Mapping gives the clients whose common name matches the pattern Name ("*" stands for any run of characters) to a tenant.
type Mapping struct{ Name, Tenant string }

// Certificate is the principal of a client with a verified certificate of that common name: of the tenant of the first mapping
// that matches, of the tenant "default" when there are no mappings at all. Its name for the ledger is "cert:<common name>". The error
// says why a client is refused.
func (s *Store) Certificate(mappings []Mapping, commonName string) (Principal, error) {
	p := Principal{Kind: KindCertificate, ID: commonName, Name: "cert:" + commonName, Role: RolePush, Tenant: DefaultTenantName, TenantID: DefaultTenant}
	if len(mappings) == 0 {
		return p, nil
	}
	for _, m := range mappings {
		if !match(m.Name, commonName) {
			continue
		}
		t, ok := s.tenant(m.Tenant)
		if !ok {
			return Principal{}, fmt.Errorf("the certificate %q belongs to the tenant %q, which does not exist", commonName, m.Tenant)
		}
		p.Tenant, p.TenantID = t.Name, t.Number
		return p, nil
	}
	return Principal{}, fmt.Errorf("the certificate %q matches nothing in auth.certificates", commonName)
}

// TenantName is the name of the tenant of that number, empty where there is none.
func (s *Store) TenantName(number uint32) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.numbers[number].Name
}
