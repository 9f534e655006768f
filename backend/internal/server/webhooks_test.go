package server_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

// A webhook of a connection to a plain git server would take deliveries that no trigger finds.
func TestWebhookNeedsAConnectionOfItsForge(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	c := b.Admin()
	const name = "accounts/default/connections/srv"
	plain := &v1.Connection{Name: name, Type: &v1.Connection_Git{Git: &v1.GitConnection{Endpoint: "https://127.0.0.1:1"}}}
	_, err := c.Connections.CreateConnection(t.Context(), &v1.CreateConnectionRequest{Connection: plain})
	require.NoError(t, err)
	create := func() error {
		_, err := c.Webhooks.CreateWebhook(t.Context(), &v1.CreateWebhookRequest{Webhook: &v1.Webhook{
			Name: "accounts/default/webhooks/srv", Kind: v1.WebhookKind_WEBHOOK_KIND_GITEA, Connection: name, Secret: hookSecret,
		}})
		return err
	}
	err = create()
	require.Equal(t, codes.InvalidArgument, status.Code(err), "%v", err)
	require.ErrorContains(t, err, `connection "srv" has the type git, and servers of that type send no deliveries: polling finds their pushes`)

	update := func(c2 *v1.Connection, token *string) error {
		_, err := c.Connections.UpdateConnection(t.Context(), &v1.UpdateConnectionRequest{Connection: c2, Credentials: &v1.ConnectionCredentials{Token: token}})
		return err
	}
	gitea := &v1.Connection{Name: name, Type: &v1.Connection_Gitea{Gitea: &v1.GiteaConnection{Endpoint: "https://127.0.0.1:1"}}}
	require.NoError(t, update(gitea, proto.String("a token")))
	require.NoError(t, create())
	err = update(plain, nil)
	require.Equal(t, codes.FailedPrecondition, status.Code(err), "%v", err)
	require.ErrorContains(t, err, "while webhooks take deliveries of gitea for it: srv; delete them before")
}
