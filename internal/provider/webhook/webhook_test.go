package webhook_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/compare"
	"github.com/hashicorp/terraform-plugin-testing/config"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/internal/provider/acctest"
)

const (
	address = "headrace_webhook.releases"
	name    = "accounts/default/webhooks/releases"
)

func TestMain(m *testing.M) {
	acctest.Main(m)
}

func file(name string) func(config.TestStepConfigRequest) string {
	return config.StaticFile("testdata/" + name + ".tf")
}

func planned(action plancheck.ResourceActionType) resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{
		PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(address, action)},
	}
}

func value(attribute string, check knownvalue.Check) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(address, tfjsonpath.New(attribute), check)
}

func stored(ctx context.Context, t *testing.T, backend *acctest.Backend) *headracev1.Webhook {
	t.Helper()
	found, err := backend.API.Webhooks.GetWebhook(ctx, &headracev1.GetWebhookRequest{Name: name})
	require.NoError(t, err)
	return found.GetWebhook()
}

// send delivers an event with a bearer token and returns the status of the answer.
func send(ctx context.Context, t *testing.T, backend *acctest.Backend, token string) int {
	t.Helper()
	at, err := url.Parse(stored(ctx, t, backend).GetUrl())
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+backend.HooksAddr+at.Path, strings.NewReader(`{"action": "released"}`))
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode
}

// TestLife also shows that the address stays, whatever changes but the kind, and that a real
// delivery is verified with the secrets that Terraform has set.
func TestLife(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t, backendtest.WithHooks())
	stays := statecheck.CompareValue(compare.ValuesSame())
	at := func() statecheck.StateCheck { return stays.AddStateValue(address, tfjsonpath.New("url")) }
	verified := func(tokens ...string) statecheck.StateCheck {
		return acctest.Afterwards(func(ctx context.Context) error {
			for _, token := range tokens {
				require.Less(t, send(ctx, t, backend, token), 300)
			}
			require.Equal(t, http.StatusUnauthorized, send(ctx, t, backend, "another secret"))
			return nil
		})
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: file("first"), ConfigStateChecks: []statecheck.StateCheck{
				value("id", knownvalue.StringExact(name)), value("account", knownvalue.StringExact("default")),
				value("secret_version", knownvalue.Int64Exact(1)), value("secret_wo", knownvalue.Null()),
				value("description", knownvalue.Null()), value("manage", knownvalue.Bool(false)), at(),
			}},
			// The secret is needed only where it is set.
			{
				ConfigFile: file("tagged"),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate),
					plancheck.ExpectKnownValue(address, tfjsonpath.New("url"), knownvalue.NotNull()),
					plancheck.ExpectKnownValue(address, tfjsonpath.New("secret_version"), knownvalue.Int64Exact(1)),
				}},
				ConfigStateChecks: []statecheck.StateCheck{at(), value("secret_version", knownvalue.Int64Exact(1))},
			},
			{
				ConfigFile: file("rotated"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{
					at(), value("secret_version", knownvalue.Int64Exact(2)), verified("hunter22-first-of-all", "hunter22-second-one"),
				},
			},
			{ConfigFile: file("rotated"), ConfigPlanChecks: planned(plancheck.ResourceActionNoop)},
			{
				ConfigFile: file("rotated_without_secret"), PlanOnly: true,
				ExpectError: acctest.Underlined(address, "secret_wo_version = 3", `The plan sets the secret of webhook "releases"`),
			},
			{ResourceName: address, ImportState: true, ImportStateId: "releases", ImportStateVerify: true, ImportStateVerifyIgnore: []string{"secret_wo_version"}},
			{ResourceName: address, ImportState: true, ImportStateId: name, ImportStateVerify: true, ImportStateVerifyIgnore: []string{"secret_wo_version"}},
			{ResourceName: address, ImportState: true, ImportStateId: "a/b/c", ExpectError: acctest.Says("write WEBHOOK, ACCOUNT/WEBHOOK")},
			{ConfigFile: file("standard"), ConfigStateChecks: []statecheck.StateCheck{at(), value("secret_version", knownvalue.Int64Exact(3))}},
			// The server checks the secret, which only it can, when the plan is made.
			{
				ConfigFile: file("short_secret"), PlanOnly: true,
				ExpectError: acctest.Underlined(address, "secret_wo_version = 4", "The secret"),
			},
			{ConfigFile: file("forge"), ConfigPlanChecks: planned(plancheck.ResourceActionDestroyBeforeCreate)},
		},
	})
}

func TestInvalidConfigurations(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ line, says string }{
		"invalid_name":         {`name = "rele ases"`, `Webhook "rele ases" has ' ' in it`},
		"unknown_kind":         {`kind = "svn"`, `Kind "svn" is not known; use one of github, gitlab, gitea, generic`},
		"no_connection":        {"", "The connection is missing"},
		"managed_generic":      {"manage = true", "A generic webhook has no repositories on a forge"},
		"no_authentication":    {"", "A generic webhook needs one of hmac, standard_webhooks and bearer"},
		"two_methods":          {"", "A generic webhook needs one of hmac, standard_webhooks and bearer"},
		"forge_authentication": {"", "The deliveries of github prove who sent them in their own way"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			says := acctest.Says(test.says)
			if test.line != "" {
				says = acctest.Underlined(address, test.line, test.says)
			}
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Offline(),
				Steps:                    []resource.TestStep{{ConfigFile: file(name), PlanOnly: true, ExpectError: says}},
			})
		})
	}
}

func TestUnknownConnection(t *testing.T) {
	t.Parallel()
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Start(t).Provider(),
		Steps:                    []resource.TestStep{{ConfigFile: file("unknown")}},
	})
}

// TestImportSetsTheSecret shows that an imported webhook gets the secret of the configuration
// and keeps its address.
func TestImportSetsTheSecret(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	created, err := backend.API.Webhooks.CreateWebhook(t.Context(), &headracev1.CreateWebhookRequest{Webhook: &headracev1.Webhook{
		Name: name, Kind: headracev1.WebhookKind_WEBHOOK_KIND_GENERIC, Secret: "hunter22-elsewhere",
		Authentication: &headracev1.WebhookAuthentication{Method: &headracev1.WebhookAuthentication_Hmac{
			Hmac: &headracev1.HmacAuthentication{Header: "X-Signature"},
		}},
	}})
	require.NoError(t, err)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: file("first"), ResourceName: address, ImportState: true, ImportStateId: "releases", ImportStatePersist: true},
			{
				ConfigFile: file("first"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{
					value("secret_version", knownvalue.Int64Exact(2)), value("url", knownvalue.StringExact(created.GetWebhook().GetUrl())),
				},
			},
		},
	})
}

// TestDriftAndConflict also shows that a secret which somebody else has set is noticed.
func TestDriftAndConflict(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	change := func(change func(*headracev1.Webhook)) func(context.Context) error {
		return func(ctx context.Context) error {
			webhook := stored(ctx, t, backend)
			change(webhook)
			_, err := backend.API.Webhooks.UpdateWebhook(ctx, &headracev1.UpdateWebhookRequest{Webhook: webhook})
			return err
		}
	}
	describe := change(func(w *headracev1.Webhook) { w.Description += "x" })
	rotate := change(func(w *headracev1.Webhook) { w.Secret = "hunter22-elsewhere" })
	remove := func(ctx context.Context) error {
		_, err := backend.API.Webhooks.DeleteWebhook(ctx, &headracev1.DeleteWebhookRequest{Name: name})
		return err
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: file("first")},
			{
				PreConfig:  func() { require.NoError(t, describe(t.Context())) },
				ConfigFile: file("first"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{value("secret_version", knownvalue.Int64Exact(1))},
			},
			{
				PreConfig:  func() { require.NoError(t, rotate(t.Context())) },
				ConfigFile: file("first"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{value("secret_version", knownvalue.Int64Exact(3))},
			},
			{ConfigFile: file("first"), ConfigPlanChecks: planned(plancheck.ResourceActionNoop)},
			{
				ConfigFile:       file("rotated"),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{acctest.Between(describe)}},
				ExpectError:      acctest.Says("It was changed by somebody else since this plan was made."),
			},
			{ConfigFile: file("rotated")},
			{
				PreConfig:  func() { require.NoError(t, remove(t.Context())) },
				ConfigFile: file("rotated"), ConfigPlanChecks: planned(plancheck.ResourceActionCreate),
			},
			// The version of its secret is 1 again.
			{
				PreConfig: func() {
					webhook := stored(t.Context(), t, backend)
					require.NoError(t, remove(t.Context()))
					webhook.Secret = "hunter22-elsewhere"
					_, err := backend.API.Webhooks.CreateWebhook(t.Context(), &headracev1.CreateWebhookRequest{Webhook: webhook})
					require.NoError(t, err)
				},
				ConfigFile: file("rotated"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{value("secret_version", knownvalue.Int64Exact(2))},
			},
		},
	})
}
