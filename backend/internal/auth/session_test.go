package auth_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
)

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	after := func(hours float64) time.Time { return begin.Add(time.Duration(hours * float64(time.Hour))) }
	session, secret := auth.NewSession(&auth.Token{ID: "t"}, begin)
	require.Equal(t, auth.Hash(secret), session.Hash)
	require.Equal(t, "t", session.Token)
	_, other := auth.NewSession(&auth.Token{ID: "t"}, begin)
	require.NotEqual(t, secret, other)

	require.False(t, session.Ended(after(11.9)))
	require.True(t, session.Ended(after(12)), "it was not used")
	_, changed := session.Use(after(0.1))
	require.False(t, changed, "not each use is written down")
	for hours := 10.0; hours < 168; hours += 10 {
		require.False(t, session.Ended(after(hours)))
		session, changed = session.Use(after(hours))
		require.True(t, changed)
	}
	require.False(t, session.Ended(after(167.9)))
	require.True(t, session.Ended(after(168)), "it is a week old")

	session, _ = auth.NewSession(&auth.Token{ID: "t", ExpiresAt: after(1)}, begin)
	require.False(t, session.Ended(after(0.9)))
	require.True(t, session.Ended(after(1)), "its token has expired")
}
