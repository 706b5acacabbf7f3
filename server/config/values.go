package config

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Network is an IP network in CIDR notation.
type Network struct{ netip.Prefix }

// UnmarshalText reads CIDR notation.
func (n *Network) UnmarshalText(b []byte) (err error) {
	if n.Prefix, err = netip.ParsePrefix(string(b)); err != nil {
		return fmt.Errorf("%q is no network like 10.0.0.0/8", b)
	}
	return nil
}

// Duration is a Go duration that also knows days: 30d, 12h30m, 500ms.
type Duration time.Duration

// UnmarshalText reads a duration.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := ParseDuration(string(b))
	if err != nil {
		return err
	}
	*d = Duration(v)
	return nil
}

// ParseDuration is time.ParseDuration with days (d) and weeks (w) as a whole number in front.
func ParseDuration(s string) (time.Duration, error) {
	bad := fmt.Errorf("%q is no duration like 30d, 12h, 90s", s)
	var total time.Duration
	rest := s
	for _, unit := range []struct {
		sign string
		d    time.Duration
	}{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}} {
		n, after, ok := strings.Cut(rest, unit.sign)
		if !ok {
			continue
		}
		var x int64
		if _, err := fmt.Sscanf(n+" ", "%d ", &x); err != nil || fmt.Sprint(x) != n || x > 36500 {
			return 0, bad
		}
		total, rest = total+time.Duration(x)*unit.d, after
	}
	if rest == "" && total > 0 {
		return total, nil
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 {
		return 0, bad
	}
	return total + d, nil
}

// Bytes is a number of bytes, written plainly or with a unit: 512MiB, 10GiB, 1GB.
type Bytes int64

// UnmarshalText reads a size.
func (n *Bytes) UnmarshalText(b []byte) error {
	s := strings.TrimSpace(string(b))
	unit := strings.TrimLeft(s, "0123456789.")
	factor, ok := map[string]float64{"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}[strings.ToUpper(strings.TrimSpace(unit))]
	var x float64
	if _, err := fmt.Sscanf(strings.TrimSuffix(s, unit), "%g", &x); err != nil || !ok || x*factor > 1<<62 {
		return fmt.Errorf("%q is no size like 512MiB or 10GB", s)
	}
	*n = Bytes(x * factor)
	return nil
}
