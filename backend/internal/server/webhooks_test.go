package server_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
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

// The advice on a delivery that was refused depends on why it was.
func TestRefusedDeliveryIsExplained(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t, backendtest.WithHooks(), backendtest.WithConfig(func(cfg *config.Config) {
		cfg.PublicURL = "https://hooks.example.com"
	}))
	c := b.Admin()
	hook := createHook(t, b)
	const pipelineName = "accounts/default/pipelines/web"
	_, err := c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: &v1.Pipeline{Name: pipelineName, Definition: &v1.PipelineDefinition{Stages: []*v1.Stage{
		{Name: "Source", Actions: []*v1.Action{{
			Name: "Checkout", Category: "Source", Owner: "Headrace", Provider: "Git", Version: "1", RunOrder: 1,
			Configuration: map[string]string{"RepositoryUrl": "https://127.0.0.1:1/acme/web.git"}, OutputArtifacts: []*v1.OutputArtifact{{Name: "src"}},
		}}},
		{Name: "Release", Actions: []*v1.Action{{Name: "Sign", Category: "Approval", Owner: "Headrace", Provider: "Manual", Version: "1", RunOrder: 1}}},
	}}}})
	require.NoError(t, err)
	_, err = c.Triggers.CreateTrigger(t.Context(), &v1.CreateTriggerRequest{Trigger: &v1.DeclaredTrigger{
		Name: "accounts/default/triggers/build", Pipeline: pipelineName, Source: &v1.DeclaredTrigger_Webhook{Webhook: &v1.WebhookTrigger{Webhook: hook.GetName()}},
	}})
	require.NoError(t, err)
	target := "http://" + b.HooksAddr + strings.TrimPrefix(hook.GetUrl(), "https://hooks.example.com")
	for _, test := range []struct {
		body, key, encoding string
		status              int
		reason, advice      string
	}{
		{`{}`, hookSecret, "gzip", http.StatusUnsupportedMediaType, "ENCODING_UNSUPPORTED", "Turn off the compression"},
		{strings.Repeat(" ", 1<<20) + `{}`, hookSecret, "", http.StatusRequestEntityTooLarge, "BODY_TOO_LARGE", "Make the sender send less"},
		{`{`, hookSecret, "", http.StatusBadRequest, "MALFORMED", "application/json"},
		{`{}`, "another secret", "", http.StatusUnauthorized, "SIGNATURE_INVALID", "Compare the secret"},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader(test.body))
		require.NoError(t, err)
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("X-Signature-256", "sha256="+signature(test.body, test.key))
		if test.encoding != "" {
			request.Header.Set("Content-Encoding", test.encoding)
		}
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, test.status, response.StatusCode)
		listed, err := c.Webhooks.ListDeliveries(t.Context(), &v1.ListDeliveriesRequest{Parent: hook.GetName()})
		require.NoError(t, err)
		newest := listed.GetDeliveries()[0]
		require.Equal(t, test.reason, newest.GetReason())
		explained, err := c.Triggers.ExplainTrigger(t.Context(), &v1.ExplainTriggerRequest{Pipeline: pipelineName, Delivery: newest.GetName()})
		require.NoError(t, err)
		advised := 0
		for _, step := range explained.GetSteps() {
			if strings.Contains(step.GetNextStep(), test.advice) {
				advised++
			}
			require.Equal(t, test.reason == "SIGNATURE_INVALID" && strings.Contains(step.GetNextStep(), test.advice),
				strings.Contains(step.GetNextStep(), "Compare the secret"), step)
		}
		require.Equal(t, 2, advised, "of the webhook and of the delivery: %v", explained)
	}
}
