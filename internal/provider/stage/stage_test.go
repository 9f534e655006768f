package stage_test

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
	address = "headrace_stage.build"
	name    = "accounts/default/pipelines/web/stages/Build"
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
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{
				ConfigFile: file("stage"),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectKnownValue(address, tfjsonpath.New("id"), knownvalue.StringExact(name)),
				}},
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectKnownValue(address, tfjsonpath.New("account"), knownvalue.StringExact("default")),
					statecheck.ExpectKnownValue(address, tfjsonpath.New("order"), knownvalue.Int64Exact(10)),
				},
			},
			{ConfigFile: file("reordered"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate)},
			{ResourceName: address, ImportState: true, ImportStateId: "web/Build", ImportStateVerify: true},
			{ResourceName: address, ImportState: true, ImportStateId: "default/web/Build", ImportStateVerify: true},
			{ResourceName: address, ImportState: true, ImportStateId: name, ImportStateVerify: true},
			{ResourceName: address, ImportState: true, ImportStateId: "Build", ExpectError: acctest.Says("write PIPELINE/STAGE")},
			{ConfigFile: file("renamed"), ConfigPlanChecks: planned(plancheck.ResourceActionDestroyBeforeCreate)},
		},
	})
}

// TestGates declares conditions, changes them all and takes them away.
func TestGates(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	blocks := func(before, success, failure int) []statecheck.StateCheck {
		return []statecheck.StateCheck{
			statecheck.ExpectKnownValue(address, tfjsonpath.New("before_entry"), knownvalue.ListSizeExact(before)),
			statecheck.ExpectKnownValue(address, tfjsonpath.New("on_success"), knownvalue.ListSizeExact(success)),
			statecheck.ExpectKnownValue(address, tfjsonpath.New("on_failure"), knownvalue.ListSizeExact(failure)),
		}
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: file("gates"), ConfigStateChecks: blocks(1, 1, 1)},
			{
				ResourceName: address, ImportState: true, ImportStateId: "web/Build", ImportStateVerify: true,
				// The backend knows one owner of rules.
				ImportStateVerifyIgnore: []string{"before_entry.0.condition.0.rule.1.rule_type_id.0.owner"},
			},
			{ConfigFile: file("other_gates"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate), ConfigStateChecks: blocks(1, 0, 1)},
			{ResourceName: address, ImportState: true, ImportStateId: "web/Build", ImportStateVerify: true},
			{
				// Somebody took the conditions away.
				PreConfig: func() {
					_, err := backend.API.Pipelines.UpdateStage(t.Context(), &headracev1.UpdateStageRequest{
						Stage: &headracev1.PipelineStage{Name: name, Order: 10},
					})
					require.NoError(t, err)
				},
				ConfigFile: file("other_gates"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate), ConfigStateChecks: blocks(1, 0, 1),
			},
			{ConfigFile: file("gates"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate), ConfigStateChecks: blocks(1, 1, 1)},
			{ConfigFile: file("ungated"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate), ConfigStateChecks: blocks(0, 0, 0)},
		},
	})
}

func TestInvalidConfigurations(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ line, says string }{
		"invalid_condition":  {`result = "EXPLODE"`, `Stage "Build", before_entry: result of the condition "EXPLODE" is not known`},
		"empty_before_entry": {`before_entry {`, `Stage "Build", before_entry: result of the condition is missing; use one of FAIL, SKIP.`},
		"empty_on_success":   {`on_success {`, `Stage "Build", on_success: result of the condition is missing; use one of ROLLBACK, FAIL.`},
		"empty_on_failure":   {`on_failure {`, `Stage "Build", on_failure: on_failure says nothing`},
		"invalid_name":       {`name = "Build it"`, `Stage name "Build it" has ' ' in it`},
		"invalid_order":      {`order = 0`, "Attribute order value must be between 1 and 1000000, got: 0"},
		"invalid_pipeline":   {`pipeline = "web site"`, `Pipeline "web site" has ' ' in it`},
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

// TestRefusals shows what only the server can know.
func TestRefusals(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"mixed":            "inline",
		"missing_pipeline": `pipeline "missing" does not exist`,
	}
	for name, says := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Start(t).Provider(),
				Steps:                    []resource.TestStep{{ConfigFile: file(name), ExpectError: acctest.Says(says)}},
			})
		})
	}
}

// TestSwappedOrders shows that stages swap places in one apply, whichever of them
// Terraform updates first.
func TestSwappedOrders(t *testing.T) {
	t.Parallel()
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Start(t).Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: file("two")},
			{ConfigFile: file("swapped"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate)},
		},
	})
}

func TestDisappears(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	remove := func(ctx context.Context) error {
		_, err := backend.API.Pipelines.DeleteStage(ctx, &headracev1.DeleteStageRequest{Name: name})
		return err
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{
				ConfigFile: file("stage"), ExpectNonEmptyPlan: true,
				ConfigStateChecks: []statecheck.StateCheck{acctest.Afterwards(remove)},
			},
			{ConfigFile: file("stage"), ConfigPlanChecks: planned(plancheck.ResourceActionCreate)},
			{
				ConfigFile: file("stage"), Destroy: true,
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{acctest.Between(remove)}},
			},
		},
	})
}

func TestDriftAndConflict(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	move := func(order int32) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := backend.API.Pipelines.UpdateStage(ctx, &headracev1.UpdateStageRequest{
				Stage: &headracev1.PipelineStage{Name: name, Order: order},
			})
			return err
		}
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: file("stage")},
			{
				PreConfig:        func() { require.NoError(t, move(30)(t.Context())) },
				ConfigFile:       file("stage"),
				ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
			},
			{
				ConfigFile:       file("reordered"),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{acctest.Between(move(40))}},
				ExpectError:      acctest.Says("It was changed by somebody else since this plan was made."),
			},
			{ConfigFile: file("reordered")},
			{
				ConfigFile: file("reordered"), Destroy: true,
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{acctest.Between(move(50))}},
				ExpectError:      acctest.Says("It was changed by somebody else since this plan was made."),
			},
			{ConfigFile: file("reordered")},
		},
	})
}

// TestOnRollback declares the gates that rollbacks skip, changes and clears them. A block
// that skips nothing is the same as none, and stays as written.
func TestOnRollback(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	with := func(block string) string {
		return `
resource "headrace_pipeline" "web" {
  name    = "web"
  publish = "explicit"
}

resource "headrace_stage" "build" {
  pipeline = headrace_pipeline.web.name
  name     = "Build"
  order    = 10

  on_failure {
    result = "ROLLBACK"
  }

  ` + block + `
}
`
	}
	block := tfjsonpath.New("on_rollback")
	skips := func(conditions, approvals bool) []statecheck.StateCheck {
		return []statecheck.StateCheck{
			statecheck.ExpectKnownValue(address, block.AtSliceIndex(0).AtMapKey("skip_conditions"), knownvalue.Bool(conditions)),
			statecheck.ExpectKnownValue(address, block.AtSliceIndex(0).AtMapKey("skip_approvals"), knownvalue.Bool(approvals)),
		}
	}
	imported := resource.TestStep{ResourceName: address, ImportState: true, ImportStateId: "web/Build", ImportStateVerify: true}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{Config: with("on_rollback {\n skip_approvals = true\n}"), ConfigStateChecks: skips(false, true)},
			imported,
			{
				Config:            with("on_rollback {\n skip_conditions = true\n}"),
				ConfigPlanChecks:  planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: skips(true, false),
			},
			{
				// Somebody took it away.
				PreConfig: func() {
					_, err := backend.API.Pipelines.UpdateStage(t.Context(), &headracev1.UpdateStageRequest{Stage: &headracev1.PipelineStage{
						Name: name, Order: 10, OnFailure: &headracev1.OnFailure{Result: "ROLLBACK"},
					}})
					require.NoError(t, err)
				},
				Config:            with("on_rollback {\n skip_conditions = true\n}"),
				ConfigPlanChecks:  planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: skips(true, false),
			},
			{Config: with("on_rollback {}"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate), ConfigStateChecks: skips(false, false)},
			{Config: with(""), ConfigStateChecks: []statecheck.StateCheck{statecheck.ExpectKnownValue(address, block, knownvalue.ListSizeExact(0))}},
			imported,
		},
	})
}
