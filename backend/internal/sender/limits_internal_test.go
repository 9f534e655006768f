package sender

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheTableOfAddressesIsBounded(t *testing.T) {
	t.Parallel()
	l := NewLimits()
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	address := func(i uint64) netip.Addr {
		var bytes [16]byte
		bytes[0] = 0x20
		binary.BigEndian.PutUint64(bytes[1:], i)
		return netip.AddrFrom16(bytes)
	}
	for i := range uint64(3 * senders) {
		l.Refused(address(i<<8), "w", now)
	}
	require.Equal(t, senders, l.all.Len())
	for range allowance {
		l.Refused(address(1), "w", now)
	}
	require.Positive(t, l.Wait(address(1), "w", now))
	require.Zero(t, l.Wait(address(1), "another target", now))
	require.Zero(t, l.Wait(address(1), "w", now.Add(time.Hour)))
	require.Zero(t, l.Wait(netip.Addr{}, "w", now), "an address that is not known")
}
