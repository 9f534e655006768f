package hooks

import (
	"context"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestABodyTakesRoomAsItArrives(t *testing.T) {
	t.Parallel()
	rooms := newRooms()
	network := netip.MustParsePrefix("192.0.2.1/32")
	small := rooms.enter(network, false)
	require.NoError(t, small.take(t.Context(), 5))
	require.EqualValues(t, roomStep, small.held)

	hungUp, cancel := context.WithCancel(t.Context())
	cancel()
	large := rooms.enter(network, false)
	require.NoError(t, large.take(t.Context(), maxOfNetwork-roomStep), "it has all that the other body of the address leaves")
	require.ErrorIs(t, large.take(hungUp, maxOfNetwork), errNoRoom)
	other := rooms.enter(netip.MustParsePrefix("192.0.2.2/32"), false)
	require.NoError(t, other.take(t.Context(), maxOfNetwork), "another address has room of its own")
	require.NoError(t, rooms.enter(network, true).take(t.Context(), maxOfNetwork), "and so has one that is verified")
	small.leave()
	large.leave()
	again := rooms.enter(network, false)
	require.NoError(t, again.take(t.Context(), maxOfNetwork), "all room is free again")
	again.leave()
	other.leave()
	require.Empty(t, rooms.networks, "an address without a body is forgotten")
}

func TestUnverifiedSendersLeaveRoomForOthers(t *testing.T) {
	t.Parallel()
	rooms := newRooms()
	hungUp, cancel := context.WithCancel(t.Context())
	cancel()
	for n := range maxUnverified / maxOfNetwork {
		require.NoError(t, rooms.enter(netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), 32), false).take(t.Context(), maxOfNetwork))
	}
	require.ErrorIs(t, rooms.enter(netip.MustParsePrefix("198.51.100.1/32"), false).take(hungUp, 1), errNoRoom)
	require.NoError(t, rooms.enter(netip.MustParsePrefix("198.51.100.1/32"), true).take(t.Context(), maxBodies-maxUnverified))
}

func TestABodyHasTimeByItsLength(t *testing.T) {
	t.Parallel()
	var deadlines []time.Duration
	start := time.Now()
	b := &body{
		ctx: t.Context(), from: strings.NewReader("slowly"), room: newRooms().enter(netip.Prefix{}, false), start: start, pace: Pace{Grace: time.Minute, Rate: 2},
		deadline: func(at time.Time) error {
			deadlines = append(deadlines, at.Sub(start))
			return nil
		},
	}
	_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, b, make([]byte, 4))
	require.NoError(t, err)
	require.Equal(t, []time.Duration{time.Minute, time.Minute + 2*time.Second, time.Minute + 3*time.Second}, deadlines)
	require.Less(t, defaultPace().by(start, 25<<20).Sub(start), readLimit, "no body may take longer than a request")
}
