package webhook

import (
	"net"
	"net/netip"
	"syscall"
	"time"

	"earshot.dev/shared/fault"
)

// newDialer makes a dialer that refuses addresses that are not public, unless it is allowed to. It looks at the
// address of each connection as it is made: a name that was checked earlier may mean another address by then.
func newDialer(allowPrivate bool) *net.Dialer {
	d := &net.Dialer{Timeout: 5 * time.Second}
	if !allowPrivate {
		d.Control = func(_, address string, _ syscall.RawConn) error {
			if to, err := netip.ParseAddrPort(address); err != nil || !isPublic(to.Addr()) {
				return fault.Newf(fault.Forbidden, "connect", "the webhook's address is not a public one")
			}
			return nil
		}
	}
	return d
}

// isPublic reports whether the address is one of the public Internet, as far as the registries of special-purpose
// addresses say (https://www.iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry). An
// address that carries an IPv4 address in it is not.
func isPublic(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	if a.Is6() && !globalUnicast6.Contains(a) {
		return false
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// globalUnicast6 is all that is assigned for the public Internet.
var globalUnicast6 = netip.MustParsePrefix("2000::/3")

// special are the blocks that netip doesn't know by itself.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),       // this network
	netip.MustParsePrefix("100.64.0.0/10"),   // shared by a provider's customers
	netip.MustParsePrefix("192.0.0.0/24"),    // IETF protocols
	netip.MustParsePrefix("192.0.2.0/24"),    // documentation
	netip.MustParsePrefix("192.88.99.0/24"),  // 6to4 relays
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarks
	netip.MustParsePrefix("198.51.100.0/24"), // documentation
	netip.MustParsePrefix("203.0.113.0/24"),  // documentation
	netip.MustParsePrefix("240.0.0.0/4"),     // reserved, and broadcast
	netip.MustParsePrefix("2001::/23"),       // IETF protocols, among them Teredo
	netip.MustParsePrefix("2001:db8::/32"),   // documentation
	netip.MustParsePrefix("2002::/16"),       // 6to4
	netip.MustParsePrefix("3fff::/20"),       // documentation
}
