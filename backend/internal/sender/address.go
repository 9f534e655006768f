package sender

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Address returns the address that a request comes from. A proxy that is trusted says
// so in X-Forwarded-For, to whose end every proxy adds whom it got the request from: the
// last address that is not a trusted proxy is the one that nobody could make up.
func Address(r *http.Request, trusted []netip.Prefix) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	address := plain(peer.Addr())
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(address) }) {
			return address
		}
		before, ok := parseHop(strings.TrimSpace(hop))
		if !ok {
			return address
		}
		address = before
	}
	return address
}

// parseHop reads an address, with or without a port.
func parseHop(text string) (netip.Addr, bool) {
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return plain(withPort.Addr()), true
	}
	address, err := netip.ParseAddr(strings.Trim(text, "[]"))
	return plain(address), err == nil
}

// plain returns IPv4 as such, and no zones, which trusted prefixes do not have.
func plain(address netip.Addr) netip.Addr { return address.Unmap().WithZone("") }
