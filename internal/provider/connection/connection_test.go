package connection_test

import (
	"context"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/config"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"github.com/stretchr/testify/require"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/internal/provider/acctest"
)

const (
	address = "headrace_connection.forge"
	name    = "accounts/default/connections/forge"
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

func value(check knownvalue.Check, attribute string, below ...any) statecheck.StateCheck {
	at := tfjsonpath.New(attribute)
	for _, step := range below {
		switch step := step.(type) {
		case int:
			at = at.AtSliceIndex(step)
		case string:
			at = at.AtMapKey(step)
		}
	}
	return statecheck.ExpectKnownValue(address, at, check)
}

// stored returns what the server has.
func stored(ctx context.Context, t *testing.T, backend *acctest.Backend) *headracev1.Connection {
	t.Helper()
	found, err := backend.API.Connections.GetConnection(ctx, &headracev1.GetConnectionRequest{Name: name})
	require.NoError(t, err)
	return found.GetConnection()
}

func TestLife(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: file("first"), ConfigStateChecks: []statecheck.StateCheck{
				value(knownvalue.StringExact(name), "id"), value(knownvalue.StringExact("default"), "account"),
				value(knownvalue.StringExact("arn:headrace:connections::default:connection/forge"), "arn"),
				value(knownvalue.StringExact("https://gitlab.com"), "gitlab", 0, "endpoint"),
				value(knownvalue.Null(), "gitlab", 0, "token_wo"), value(knownvalue.NotNull(), "credential_set_times", "token"),
				value(knownvalue.ListSizeExact(0), "git"), value(knownvalue.Null(), "description"),
			}},
			// The token is needed only where it is set.
			{
				ConfigFile: file("full"),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate),
					plancheck.ExpectKnownValue(address, tfjsonpath.New("credential_set_times"), knownvalue.MapSizeExact(1)),
				}},
			},
			{ConfigFile: file("rotated"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate)},
			{ConfigFile: file("rotated"), ConfigPlanChecks: planned(plancheck.ResourceActionNoop)},
			{
				ResourceName: address, ImportState: true, ImportStateId: "forge", ImportStateVerify: true,
				ImportStateVerifyIgnore: []string{"gitlab.0.token_wo_version"},
			},
			{
				ResourceName: address, ImportState: true, ImportStateId: name, ImportStateVerify: true,
				ImportStateVerifyIgnore: []string{"gitlab.0.token_wo_version"},
			},
			{ResourceName: address, ImportState: true, ImportStateId: "a/b/c", ExpectError: acctest.Says("write CONNECTION, ACCOUNT/CONNECTION")},
			// A stored token is never sent to another host.
			{ConfigFile: file("moved"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate)},
			{
				ConfigFile: file("moved_without_token"), PlanOnly: true,
				ExpectError: acctest.Underlined(address, "token_wo_version = 2", `The plan sets a credential of connection "forge"`),
			},
			{
				ConfigFile: file("gitea"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{
					value(knownvalue.ListSizeExact(0), "gitlab"), value(knownvalue.StringExact("https://gitea.example.com"), "gitea", 0, "endpoint"),
				},
			},
		},
	})
}

func TestInvalidConfigurations(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]string{
		"not_encrypted": `"http://gitlab.example.com" is not encrypted`,
		"no_host_keys":  "known_hosts is empty",
		"no_type":       "The connection has 0 blocks of types",
		"two_types":     "The connection has 2 blocks of types",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Offline(),
				Steps:                    []resource.TestStep{{ConfigFile: file(name), PlanOnly: true, ExpectError: acctest.Says(says)}},
			})
		})
	}
}

// TestRefusedCredentials holds that an error points to the version of the credential, so that
// Terraform does not print the line that may hold it.
func TestRefusedCredentials(t *testing.T) {
	t.Parallel()
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Start(t).Provider(),
		Steps: []resource.TestStep{
			{
				ConfigFile:  file("broken_key"),
				ExpectError: acctest.Underlined(address, "private_key_wo_version = 1", "The value is not a private key in PEM"),
			},
			{
				ConfigFile:  file("no_user"),
				ExpectError: acctest.Underlined(address, "password_wo_version = 1", "A password is only sent with a username"),
			},
		},
	})
}

func TestUnknownEndpoint(t *testing.T) {
	t.Parallel()
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Start(t).Provider(),
		Steps:                    []resource.TestStep{{ConfigFile: file("unknown")}},
	})
}

// TestImportSetsTheCredentials shows that an imported connection gets those of the
// configuration.
func TestImportSetsTheCredentials(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	token := "hunter22-elsewhere"
	created, err := backend.API.Connections.CreateConnection(t.Context(), &headracev1.CreateConnectionRequest{
		Connection: &headracev1.Connection{
			Name: name, Type: &headracev1.Connection_Gitlab{Gitlab: &headracev1.GitlabConnection{Endpoint: "https://gitlab.com"}},
		},
		Credentials: &headracev1.ConnectionCredentials{Token: &token},
	})
	require.NoError(t, err)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: file("first"), ResourceName: address, ImportState: true, ImportStateId: "forge", ImportStatePersist: true},
			{ConfigFile: file("first"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate), ConfigStateChecks: []statecheck.StateCheck{
				acctest.Afterwards(func(ctx context.Context) error {
					require.NotEqual(t, created.GetConnection().GetCredentials()[0].GetSetTime().AsTime(),
						stored(ctx, t, backend).GetCredentials()[0].GetSetTime().AsTime())
					return nil
				}),
			}},
		},
	})
}

// TestDriftAndConflict also shows that a credential which somebody else has set is noticed.
func TestDriftAndConflict(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	change := func(change func(*headracev1.UpdateConnectionRequest)) func(context.Context) error {
		return func(ctx context.Context) error {
			request := &headracev1.UpdateConnectionRequest{Connection: stored(ctx, t, backend)}
			change(request)
			_, err := backend.API.Connections.UpdateConnection(ctx, request)
			return err
		}
	}
	token := "hunter22-elsewhere"
	describe := change(func(r *headracev1.UpdateConnectionRequest) { r.Connection.Description += "x" })
	rotate := change(func(r *headracev1.UpdateConnectionRequest) {
		r.Credentials = &headracev1.ConnectionCredentials{Token: &token}
	})
	remove := func(ctx context.Context) error {
		_, err := backend.API.Connections.DeleteConnection(ctx, &headracev1.DeleteConnectionRequest{Name: name})
		return err
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: file("first")},
			{
				PreConfig:  func() { require.NoError(t, describe(t.Context())) },
				ConfigFile: file("first"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
			},
			{
				PreConfig:  func() { require.NoError(t, rotate(t.Context())) },
				ConfigFile: file("first"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
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
		},
	})
}
