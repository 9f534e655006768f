package action_test

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
	address = "headrace_action.compile"
	name    = "accounts/default/pipelines/web/stages/Build/actions/Compile"
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

func TestLife(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	value := func(attribute string, check knownvalue.Check) statecheck.StateCheck {
		return statecheck.ExpectKnownValue(address, tfjsonpath.New(attribute), check)
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{
				ConfigFile: file("action"),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectKnownValue(address, tfjsonpath.New("id"), knownvalue.StringExact(name)),
				}},
				ConfigStateChecks: []statecheck.StateCheck{value("run_order", knownvalue.Int64Exact(1))},
			},
			{
				ConfigFile: file("full"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{
					value("run_order", knownvalue.Int64Exact(4)), value("on_lost", knownvalue.StringExact("retry")),
				},
			},
			{ResourceName: address, ImportState: true, ImportStateId: "web/Build/Compile", ImportStateVerify: true},
			{ResourceName: address, ImportState: true, ImportStateId: "default/web/Build/Compile", ImportStateVerify: true},
			{ResourceName: address, ImportState: true, ImportStateId: name, ImportStateVerify: true},
			{
				ConfigFile: file("action"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{
					value("run_order", knownvalue.Int64Exact(1)), value("on_lost", knownvalue.Null()),
					value("namespace", knownvalue.Null()), value("timeout_in_minutes", knownvalue.Null()),
					value("input_artifacts", knownvalue.Null()), value("output_artifact_files", knownvalue.Null()),
					value("environment_variable", knownvalue.ListSizeExact(0)),
				},
			},
			{ConfigFile: file("retyped"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate)},
			{ConfigFile: file("approval"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate)},
			{ConfigFile: file("renamed"), ConfigPlanChecks: planned(plancheck.ResourceActionDestroyBeforeCreate)},
		},
	})
}

func TestInvalidConfigurations(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ line, says string }{
		"invalid_configuration": {`Speed = "high"`, `Action "Compile", configuration "Speed": Build/Headrace/Commands/1 takes no configuration`},
		"invalid_name":          {`name = "Compile it"`, `Action name "Compile it" has ' ' in it`},
		"invalid_provider":      {`provider_name = "Command"`, `Action "Compile": action type Build/Headrace/Command/1 is not supported`},
		"invalid_file":          {`binary = ["bin/[a"]`, `Action "Compile", output artifact 1, file 1: "bin/[a" is not a valid pattern`},
		"invalid_run_order":     {`run_order = 0`, "Attribute run_order value must be at least 1, got: 0"},
		"stray_file":            {`binery`, `Action "Compile", output_artifact_files "binery": the action has no output artifact "binery" (did you mean "binary"?)`},
		"missing_commands":      {`resource "headrace_action" "compile" {`, `Action "Compile": Build/Headrace/Commands/1 needs commands`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Offline(),
				Steps: []resource.TestStep{{
					ConfigFile: file(name), PlanOnly: true,
					ExpectError: acctest.Underlined(address, test.line, test.says),
				}},
			})
		})
	}
}

func TestMissingStage(t *testing.T) {
	t.Parallel()
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Start(t).Provider(),
		Steps:                    []resource.TestStep{{ConfigFile: file("missing_stage"), ExpectError: acctest.Says(`"Missing"`)}},
	})
}

func TestUnknownValues(t *testing.T) {
	t.Parallel()
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Start(t).Provider(),
		Steps:                    []resource.TestStep{{ConfigFile: file("unknown")}},
	})
}

func TestDisappears(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	remove := func(ctx context.Context) error {
		_, err := backend.API.Pipelines.DeleteAction(ctx, &headracev1.DeleteActionRequest{Name: name})
		return err
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{
				ConfigFile: file("action"), ExpectNonEmptyPlan: true,
				ConfigStateChecks: []statecheck.StateCheck{acctest.Afterwards(remove)},
			},
			{ConfigFile: file("action"), ConfigPlanChecks: planned(plancheck.ResourceActionCreate)},
			{
				ConfigFile: file("action"), Destroy: true,
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{acctest.Between(remove)}},
			},
		},
	})
}

func TestDriftAndConflict(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	command := func(line string) func(context.Context) error {
		return func(ctx context.Context) error {
			found, err := backend.API.Pipelines.GetAction(ctx, &headracev1.GetActionRequest{Name: name})
			if err != nil {
				return err
			}
			found.GetAction().GetAction().Commands = []string{line}
			_, err = backend.API.Pipelines.UpdateAction(ctx, &headracev1.UpdateActionRequest{Action: found.GetAction()})
			return err
		}
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: file("action")},
			{
				PreConfig:        func() { require.NoError(t, command("drift")(t.Context())) },
				ConfigFile:       file("action"),
				ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
			},
			{
				ConfigFile:       file("full"),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{acctest.Between(command("first"))}},
				ExpectError:      acctest.Says("It was changed by somebody else since this plan was made."),
			},
			{ConfigFile: file("full")},
			{
				ConfigFile: file("full"), Destroy: true,
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{acctest.Between(command("second"))}},
				ExpectError:      acctest.Says("It was changed by somebody else since this plan was made."),
			},
			{ConfigFile: file("full")},
		},
	})
}
