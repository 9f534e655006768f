package secret_test

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
	address = "headrace_secret.token"
	name    = "accounts/default/secrets/token"
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

func TestLife(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: file("first"), ConfigStateChecks: []statecheck.StateCheck{
				value("id", knownvalue.StringExact(name)), value("account", knownvalue.StringExact("default")),
				value("version", knownvalue.Int64Exact(1)), value("value_wo", knownvalue.Null()), value("description", knownvalue.Null()),
			}},
			{
				ConfigFile: file("described"),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate),
					plancheck.ExpectKnownValue(address, tfjsonpath.New("version"), knownvalue.Int64Exact(1)),
				}},
				ConfigStateChecks: []statecheck.StateCheck{value("version", knownvalue.Int64Exact(1))},
			},
			{
				ConfigFile: file("second"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{value("version", knownvalue.Int64Exact(2)), value("value_wo", knownvalue.Null())},
			},
			// The value is needed only where it is set.
			{ConfigFile: file("without_value"), ConfigPlanChecks: planned(plancheck.ResourceActionNoop)},
			{
				ConfigFile: file("third_without_value"), PlanOnly: true,
				ExpectError: acctest.Underlined(address, "value_wo_version = 3", `The plan sets the value of secret "token"`),
			},
			// Whether the value is that of the configuration cannot be known.
			{
				ResourceName: address, ImportState: true, ImportStateId: "token", ImportStateVerify: true,
				ImportStateVerifyIgnore: []string{"value_wo_version"},
			},
			{
				ResourceName: address, ImportState: true, ImportStateId: name, ImportStateVerify: true,
				ImportStateVerifyIgnore: []string{"value_wo_version"},
			},
			{ResourceName: address, ImportState: true, ImportStateId: "a/b/c", ExpectError: acctest.Says("write SECRET, ACCOUNT/SECRET")},
			{ConfigFile: file("renamed"), ConfigPlanChecks: planned(plancheck.ResourceActionDestroyBeforeCreate)},
		},
	})
}

func TestImportSetsTheValue(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	_, err := backend.API.Secrets.CreateSecret(t.Context(), &headracev1.CreateSecretRequest{
		Secret: &headracev1.Secret{Name: name, Value: []byte("hunter22-elsewhere")},
	})
	require.NoError(t, err)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: file("first"), ResourceName: address, ImportState: true, ImportStateId: "token", ImportStatePersist: true},
			{
				ConfigFile: file("first"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{value("version", knownvalue.Int64Exact(2))},
			},
		},
	})
}

// TestDriftAndConflict also shows that a value which somebody else has set is noticed.
func TestDriftAndConflict(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	change := func(secret *headracev1.Secret) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := backend.API.Secrets.UpdateSecret(ctx, &headracev1.UpdateSecretRequest{Secret: secret})
			return err
		}
	}
	set := change(&headracev1.Secret{Name: name, Description: "Pushes images", Value: []byte("hunter22-elsewhere")})
	remove := func(ctx context.Context) error {
		_, err := backend.API.Secrets.DeleteSecret(ctx, &headracev1.DeleteSecretRequest{Name: name})
		return err
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: file("described")},
			{
				PreConfig:  func() { require.NoError(t, set(t.Context())) },
				ConfigFile: file("described"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{value("version", knownvalue.Int64Exact(3))},
			},
			{
				PreConfig: func() {
					require.NoError(t, change(&headracev1.Secret{Name: name, Description: "of somebody"})(t.Context()))
				},
				ConfigFile: file("described"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{
					value("version", knownvalue.Int64Exact(3)), value("description", knownvalue.StringExact("Pushes images")),
				},
			},
			{
				ConfigFile:       file("second"),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{acctest.Between(set)}},
				ExpectError:      acctest.Says("It was changed by somebody else since this plan was made."),
			},
			{ConfigFile: file("second")},
			{
				PreConfig:  func() { require.NoError(t, remove(t.Context())) },
				ConfigFile: file("second"), ConfigPlanChecks: planned(plancheck.ResourceActionCreate),
			},
			// Its version is 1 again.
			{
				PreConfig: func() {
					require.NoError(t, remove(t.Context()))
					_, err := backend.API.Secrets.CreateSecret(t.Context(), &headracev1.CreateSecretRequest{
						Secret: &headracev1.Secret{Name: name, Description: "Pushes images", Value: []byte("hunter22-elsewhere")},
					})
					require.NoError(t, err)
				},
				ConfigFile: file("second"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{value("version", knownvalue.Int64Exact(2))},
			},
			{
				ConfigFile: file("second"), Destroy: true,
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{acctest.Between(remove)}},
			},
		},
	})
}

func TestInvalidConfigurations(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ line, says string }{
		"invalid_name": {`name = "to ken"`, `Secret "to ken" has ' ' in it`},
		"empty_value":  {"", "The value is empty; a secret has 1 to 65536 bytes."},
		"too_long":     {"", "The value has 71000 bytes; a secret has 1 to 65536."},
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

func TestSecretInUseIsNotDestroyed(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{ConfigDirectory: config.StaticDirectory("testdata/both")},
			{ConfigFile: file("used"), ExpectError: acctest.Says(`secret "token" is used by the newest version of pipeline "web"`)},
			{ConfigDirectory: config.StaticDirectory("testdata/both")},
		},
	})
}
