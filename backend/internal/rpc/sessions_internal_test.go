package rpc

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// newPerson returns a token without an end.
func newPerson(t *testing.T, g *streamGate) (secret string) {
	t.Helper()
	secret = auth.NewSecret()
	require.NoError(t, g.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		return tx.CreateToken(ctx, auth.Token{ID: "bob", Hash: auth.Hash(secret), Principal: "bob"})
	}))
	return secret
}

func TestSessionsEndIfTheyAreNotUsed(t *testing.T) {
	t.Parallel()
	g := newStreamGate(t)
	secret := newPerson(t, g)
	_, _, session, err := g.accounts.LogIn(t.Context(), secret, "")
	require.NoError(t, err)
	ask := func() error {
		who, err := g.authenticate(t.Context(), credential{session: session})
		if err == nil {
			require.Equal(t, "bob", who.Principal)
		}
		return err
	}
	const hour = int64(time.Hour)
	for range 3 {
		g.now.Add(11 * hour)
		require.NoError(t, ask(), "each use lets it live on")
	}
	g.now.Add(12 * hour)
	var refusal *service.Error
	require.ErrorAs(t, ask(), &refusal)
	require.Equal(t, service.KindUnauthenticated, refusal.Kind)

	_, _, session, err = g.accounts.LogIn(t.Context(), secret, "")
	require.NoError(t, err)
	for range 15 {
		g.now.Add(11 * hour)
		require.NoError(t, ask())
	}
	g.now.Add(3 * hour)
	require.ErrorAs(t, ask(), &refusal, "a week has passed")
}

func TestATokenHasSoManySessions(t *testing.T) {
	t.Parallel()
	g := newStreamGate(t)
	secret := newPerson(t, g)
	var sessions []string
	for range 102 {
		_, _, session, err := g.accounts.LogIn(t.Context(), secret, "")
		require.NoError(t, err)
		sessions = append(sessions, session)
		g.now.Add(int64(time.Second))
	}
	for i, session := range sessions {
		_, err := g.authenticate(t.Context(), credential{session: session})
		require.Equal(t, i < 2, err != nil, "session %d", i)
	}
}

// deadlined is an answer that notes until when its request is read.
type deadlined struct {
	*httptest.ResponseRecorder
	until time.Time
}

// SetReadDeadline is for http.ResponseController.
func (d *deadlined) SetReadDeadline(until time.Time) error {
	d.until = until
	return nil
}

func TestTheBodyOfALoginMustNotTakeLong(t *testing.T) {
	t.Parallel()
	known := newStreamGate(t)
	known.messageTimeout, known.anonymousTimeout = messageTimeout, anonymousTimeout
	s := &Server{gate: known.gate, door: newDoor(known.gate, nil, false)}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, SessionPath, strings.NewReader("{"))
	r.Header.Set("Content-Type", "application/json")
	w := &deadlined{ResponseRecorder: httptest.NewRecorder()}
	s.Sessions(nil).ServeHTTP(w, r)
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.False(t, w.until.IsZero())
	require.True(t, w.until.Before(time.Now().Add(messageTimeout)), "a second, as for other messages of strangers")
}
