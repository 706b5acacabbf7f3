package condition

import (
	"net"
	"strings"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/strictyaml"
)

// networks tells whether addresses lie in networks: CIDR notation (RFC 4632, RFC 4291) or a name.
type networks []membership

type membership struct {
	name  string
	texts []string
	in    []func(net.IP) bool
}

func newNetworks(n strictyaml.Node) (Condition, error) {
	var c networks
	if err := c.add(n, ""); err != nil {
		return nil, err
	}
	if len(c) == 0 {
		return nil, n.Errorf("fields and networks are wanted here")
	}
	return &c, nil
}

func (c *networks) add(n strictyaml.Node, name string) error {
	if n.IsMap() {
		if strings.Count(name, ".") > 100 {
			return n.Errorf("the nesting is too deep")
		}
		return n.Pairs(func(k string, _, value strictyaml.Node) error { return c.add(value, dotted(name, k)) })
	}
	m := membership{name: name}
	var list strictyaml.Texts
	if err := n.Decode(&list); err != nil {
		return err
	}
	for _, s := range list {
		f := named(s)
		if f == nil {
			_, cidr, err := net.ParseCIDR(s)
			if err != nil {
				return n.Errorf("%q is neither a network like 192.0.2.0/24 nor one of loopback, global_unicast, unicast, link_local_unicast, "+
					"interface_local_multicast, link_local_multicast, multicast, unspecified, private, public", s)
			}
			f = cidr.Contains
		}
		m.texts, m.in = append(m.texts, s), append(m.in, f)
	}
	*c = append(*c, m)
	return nil
}

// named gives the test of a named network.
func named(name string) func(net.IP) bool {
	switch name {
	case "loopback":
		return net.IP.IsLoopback
	case "global_unicast", "unicast":
		return net.IP.IsGlobalUnicast
	case "link_local_unicast":
		return net.IP.IsLinkLocalUnicast
	case "interface_local_multicast":
		return net.IP.IsInterfaceLocalMulticast
	case "link_local_multicast":
		return net.IP.IsLinkLocalMulticast
	case "multicast":
		return net.IP.IsMulticast
	case "unspecified":
		return net.IP.IsUnspecified
	case "private":
		return private
	case "public":
		return func(ip net.IP) bool {
			return !(private(ip) || ip.IsLoopback() || ip.IsUnspecified() || ip.Equal(net.IPv4bcast) || ip.IsLinkLocalUnicast() ||
				ip.IsLinkLocalMulticast() || ip.IsInterfaceLocalMulticast())
		}
	}
	return nil
}

// private tells whether an address is one of RFC 1918, or begins with fd (RFC 4193; libbeat leaves fc out).
func private(ip net.IP) bool {
	if v4 := ip.To4(); v4 != nil {
		return ip.IsPrivate()
	}
	return len(ip) == net.IPv6len && ip[0] == 0xfd
}

func (c *networks) Check(e *event.Event) bool {
	for i := range *c {
		f, ok := get(e, (*c)[i].name)
		if !ok || f.Kind != event.String {
			return false
		}
		ip := net.ParseIP(f.Value)
		if ip == nil || !(*c)[i].contains(ip) {
			return false
		}
	}
	return true
}

func (m *membership) contains(ip net.IP) bool {
	for _, f := range m.in {
		if f(ip) {
			return true
		}
	}
	return false
}

func (c *networks) String() string {
	parts := make([]string, len(*c))
	for i, m := range *c {
		parts[i] = m.name + "=" + strings.Join(m.texts, "|")
	}
	return "network: " + strings.Join(parts, " ")
}
