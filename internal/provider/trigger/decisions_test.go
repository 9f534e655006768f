package trigger_test

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/internal/provider/acctest"
)

// TestWhatTerraformDeclaresStartsExecutions sends real deliveries to what Terraform has
// declared, and reads with the data sources what became of them.
func TestWhatTerraformDeclaresStartsExecutions(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t, backendtest.WithHooks())
	send := func(body, token string) int {
		t.Helper()
		hook, err := backend.API.Webhooks.GetWebhook(t.Context(), &headracev1.GetWebhookRequest{Name: "accounts/default/webhooks/releases"})
		require.NoError(t, err)
		at, err := url.Parse(hook.GetWebhook().GetUrl())
		require.NoError(t, err)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+backend.HooksAddr+at.Path, strings.NewReader(body))
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer "+token)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	const secret = "hunter22-of-the-webhook"
	events := func() {
		require.Less(t, send(`{"ref": "refs/heads/main", "action": "released", "tag": "v1", "id": "1", "commit": "1111111111111111111111111111111111111111"}`, secret), 300)
		require.Less(t, send(`{"ref": "refs/heads/main", "action": "released", "tag": "v1", "id": "1", "commit": "1111111111111111111111111111111111111111"}`, secret), 300)
		require.Less(t, send(`{"ref": "refs/heads/dev", "action": "released", "tag": "v2", "id": "2", "commit": "2222222222222222222222222222222222222222"}`, secret), 300)
		require.Equal(t, http.StatusUnauthorized, send(`{}`, "another secret"))
	}
	declared, err := os.ReadFile("testdata/event.tf")
	require.NoError(t, err)
	reads, err := os.ReadFile("testdata/read.tf")
	require.NoError(t, err)
	check := func(source, attribute string, check knownvalue.Check, below ...any) statecheck.StateCheck {
		at := tfjsonpath.New(attribute)
		for _, step := range below {
			switch step := step.(type) {
			case int:
				at = at.AtSliceIndex(step)
			case string:
				at = at.AtMapKey(step)
			}
		}
		return statecheck.ExpectKnownValue("data."+source, at, check)
	}
	text := knownvalue.StringExact
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{Config: string(declared)},
			{
				PreConfig: events, Config: string(declared) + string(reads),
				ConfigStateChecks: []statecheck.StateCheck{
					check("headrace_deliveries.all", "deliveries", text("REFUSED"), 0, "status"),
					check("headrace_deliveries.all", "deliveries", knownvalue.NotNull(), 0, "address"),
					check("headrace_deliveries.accepted", "deliveries", knownvalue.ListSizeExact(1)),
					check("headrace_deliveries.accepted", "deliveries", text("releases"), 0, "webhook"),
					check("headrace_deliveries.accepted", "deliveries", knownvalue.ListSizeExact(0), 0, "executions"),
					check("headrace_deliveries.all", "deliveries", knownvalue.ListSizeExact(1), 2, "executions"),
					check("headrace_trigger_decisions.newest", "decisions", knownvalue.ListSizeExact(1)),
					check("headrace_trigger_decisions.newest", "decisions", text("NOT_STARTED"), 0, "outcome"),
					check("headrace_trigger_decisions.newest", "decisions", text("FILTER_NOT_MATCHED"), 0, "reason"),
					check("headrace_trigger_decisions.newest", "decisions", text("WEBHOOK"), 0, "found_by"),
					check("headrace_trigger_decisions.newest", "decisions", text("accounts/default/triggers/web"), 0, "trigger"),
					check("headrace_trigger_decisions.pipeline", "decisions", text("web"), 0, "pipeline"),
					check("headrace_trigger_decisions.all", "decisions", knownvalue.NotNull(), 1, "execution"),
					acctest.Afterwards(func(ctx context.Context) error {
						found, err := backend.API.Executions.ListExecutions(ctx, &headracev1.ListExecutionsRequest{Parent: "accounts/default/pipelines/web"})
						require.NoError(t, err)
						require.Len(t, found.GetExecutions(), 1, "the repeated event starts nothing")
						started, err := backend.API.Executions.GetExecution(ctx, &headracev1.GetExecutionRequest{Name: found.GetExecutions()[0].GetName()})
						require.NoError(t, err)
						require.Equal(t, "v1", started.GetExecution().GetVariables()["Tag"])
						require.Equal(t, "1111111111111111111111111111111111111111", started.GetExecution().GetSourceRevisionOverrides()[0].GetRevisionValue())
						require.Equal(t, "accounts/default/triggers/web", started.GetExecution().GetTrigger().GetTrigger())
						return nil
					}),
				},
			},
		},
	})
}
