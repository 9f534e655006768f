package config

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/pflag"
)

// Networks is a list of networks, separated by commas. An address stands for itself.
type Networks []netip.Prefix

var _ pflag.Value = (*Networks)(nil)

// String implements pflag.Value.
func (n *Networks) String() string {
	texts := make([]string, len(*n))
	for i, prefix := range *n {
		texts[i] = prefix.String()
	}
	return strings.Join(texts, ",")
}

// Set implements pflag.Value.
func (n *Networks) Set(text string) error {
	var networks Networks
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(part)
		if address, isAddress := netip.ParseAddr(part); isAddress == nil {
			prefix, err = address.Unmap().WithZone("").Prefix(address.Unmap().BitLen())
		}
		if err != nil {
			return fmt.Errorf("%q is not a network, for example 10.0.0.0/8, or an address", part)
		}
		networks = append(networks, prefix.Masked())
	}
	*n = networks
	return nil
}

// Type implements pflag.Value.
func (n *Networks) Type() string { return "networks" }
