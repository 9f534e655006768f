package service_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

func TestExpiredTokenIsRefused(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	accounts := service.NewAccounts(service.AccountsConfig{Store: l.store, Clock: l.now, Reports: service.NewReports(l.store, l.now), NewID: func() string { return "t1" }})
	token, secret, err := accounts.CreateToken(t.Context(), admin, service.NewToken{
		Principal: "ann", Bindings: []auth.Binding{{Account: "default", Role: auth.Viewer}}, ExpiresAt: l.now().Add(time.Hour),
	})
	require.NoError(t, err)
	l.later(time.Hour - time.Microsecond)
	who, err := accounts.Authenticate(t.Context(), secret)
	require.NoError(t, err)
	require.Equal(t, "ann", who.Principal)
	l.later(time.Microsecond)
	require.Equal(t, token.ExpiresAt, l.now())
	_, err = accounts.Authenticate(t.Context(), secret)
	requireRefused(t, err, service.KindUnauthenticated, pipeline.ReasonUnauthenticated)
}
