package stagetransition_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/config"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/internal/provider/acctest"
)

const (
	address = "headrace_stage_transition.door"
	web     = "accounts/default/pipelines/web"
	name    = web + "/stages/Build"
)

func TestMain(m *testing.M) {
	acctest.Main(m)
}

func file(name string) func(config.TestStepConfigRequest) string {
	return config.StaticFile("testdata/" + name + ".tf")
}

func value(attribute string, check knownvalue.Check) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(address, tfjsonpath.New(attribute), check)
}

func planned(action plancheck.ResourceActionType) resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{
		PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(address, action)},
	}
}

// disabled are the variables of a transition that is disabled for a reason.
func disabled(reason string) config.Variables {
	return config.Variables{"enabled": config.BoolVariable(false), "reason": config.StringVariable(reason)}
}

// TestLife goes through every argument. The plan after each step is empty, or the
// step fails.
func TestLife(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	create(t, backend, web, headracev1.ExecutionMode_EXECUTION_MODE_SUPERSEDED)
	ofSource := disabled("Move")
	ofSource["stage"] = config.StringVariable("Source")
	enabled := []statecheck.StateCheck{value("enabled", knownvalue.Bool(true)), value("disabled_reason", knownvalue.Null())}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		// The pipeline stays behind, with its transitions as they were.
		CheckDestroy: func(*terraform.State) error { return expect(t.Context(), backend, "Source", false, "Move") },
		Steps: []resource.TestStep{
			{
				ConfigFile: file("transition"),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectKnownValue(address, tfjsonpath.New("id"), knownvalue.StringExact(name)),
				}},
				ConfigStateChecks: append(enabled, value("account", knownvalue.StringExact("default"))),
			},
			{
				ConfigFile: file("transition"), ConfigVariables: disabled("Inventory"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{
					value("enabled", knownvalue.Bool(false)), value("disabled_reason", knownvalue.StringExact("Inventory")),
					holds(backend, "Build", false, "Inventory"),
				},
			},
			{
				ConfigFile: file("transition"), ConfigVariables: disabled("Noch länger"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{holds(backend, "Build", false, "Noch länger")},
			},
			{ResourceName: address, ImportState: true, ImportStateId: "web/Build", ImportStateVerify: true},
			{ResourceName: address, ImportState: true, ImportStateId: "default/web/Build", ImportStateVerify: true},
			{ResourceName: address, ImportState: true, ImportStateId: name, ImportStateVerify: true},
			{ResourceName: address, ImportState: true, ImportStateId: "Build", ExpectError: acctest.Says("write PIPELINE/STAGE")},
			{ResourceName: address, ImportState: true, ImportStateId: "web/Deploy", ExpectError: acctest.Says("Cannot import non-existent remote object")},
			{
				ConfigFile: file("transition"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: append(enabled, holds(backend, "Build", true, "")),
			},
			{ResourceName: address, ImportState: true, ImportStateId: "web/Build", ImportStateVerify: true},
			{ConfigFile: file("transition"), ConfigVariables: disabled("Inventory")},
			{
				ConfigFile: file("transition"), ConfigVariables: ofSource, ConfigPlanChecks: planned(plancheck.ResourceActionDestroyBeforeCreate),
				ConfigStateChecks: []statecheck.StateCheck{
					holds(backend, "Build", false, "Inventory"), holds(backend, "Source", false, "Move"),
				},
			},
		},
	})
}

func TestInvalidConfigurations(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ line, says string }{
		"without_reason":    {`enabled = false`, "Say in disabled_reason why"},
		"reason_of_enabled": {`disabled_reason = "Inventory"`, "Remove disabled_reason, or set enabled = false to disable the transition."},
		"empty_reason":      {`disabled_reason = ""`, "Say why the transition is disabled: others will ask."},
		"blank_reason":      {`disabled_reason = "  "`, "Say why the transition is disabled: others will ask."},
		"reason_of_lines":   {`disabled_reason = "Inventory\nuntil Friday"`, "The reason holds characters that cannot be shown; remove them and write it on one line."},
		"long_reason":       {`disabled_reason = join`, "The reason is too long; use at most 300 characters."},
		"invalid_pipeline":  {`pipeline = "web site"`, `Pipeline "web site" has ' ' in it`},
		"invalid_stage":     {`stage = "Build it"`, `Stage name "Build it" has ' ' in it`},
		"invalid_account":   {`account = "a/b"`, `Account "a/b" has '/' in it`},
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

// TestRefusals shows what only the server can know, at the argument that is at
// fault.
func TestRefusals(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	create(t, backend, web, headracev1.ExecutionMode_EXECUTION_MODE_QUEUED)
	create(t, backend, "accounts/default/pipelines/parallel", headracev1.ExecutionMode_EXECUTION_MODE_PARALLEL)
	tests := map[string]string{
		"missing_pipeline": `pipeline = "missing"`,
		"missing_stage":    `stage = "Deploy"`,
		"parallel":         `pipeline = "parallel"`,
	}
	for name, line := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: backend.Provider(),
				Steps:                    []resource.TestStep{{ConfigFile: file(name), ExpectError: acctest.Underlined(address, line, "")}},
			})
		})
	}
}

func TestUnknownValues(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	create(t, backend, web, headracev1.ExecutionMode_EXECUTION_MODE_SUPERSEDED)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{{
			ConfigFile:        file("unknown"),
			ConfigStateChecks: []statecheck.StateCheck{holds(backend, "Build", false, "Inventory")},
		}},
	})
}

// TestDisappears takes away the pipeline and the stage.
func TestDisappears(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		remove func(context.Context, *acctest.Backend) error
		line   string
	}{
		"pipeline": {
			func(ctx context.Context, backend *acctest.Backend) error {
				_, err := backend.API.Pipelines.DeletePipeline(ctx, &headracev1.DeletePipelineRequest{Name: web})
				return err
			}, `pipeline = "web"`,
		},
		"stage": {
			func(ctx context.Context, backend *acctest.Backend) error {
				pipeline := message(web, headracev1.ExecutionMode_EXECUTION_MODE_SUPERSEDED)
				pipeline.GetDefinition().GetStages()[1].Name = "Compile"
				_, err := backend.API.Pipelines.UpdatePipeline(ctx, &headracev1.UpdatePipelineRequest{Pipeline: pipeline})
				return err
			}, `stage = var.stage`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backend := acctest.Start(t)
			create(t, backend, web, headracev1.ExecutionMode_EXECUTION_MODE_SUPERSEDED)
			remove := func(ctx context.Context) error { return test.remove(ctx, backend) }
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: backend.Provider(),
				Steps: []resource.TestStep{
					{
						ConfigFile: file("transition"), ConfigVariables: disabled("Inventory"), ExpectNonEmptyPlan: true,
						ConfigStateChecks: []statecheck.StateCheck{acctest.Afterwards(remove)},
					},
					{
						ConfigFile: file("transition"), ConfigVariables: disabled("Inventory"),
						ConfigPlanChecks: planned(plancheck.ResourceActionCreate), ExpectError: acctest.Underlined(address, test.line, ""),
					},
				},
			})
		})
		t.Run(name+" before a destroy", func(t *testing.T) {
			t.Parallel()
			backend := acctest.Start(t)
			create(t, backend, web, headracev1.ExecutionMode_EXECUTION_MODE_SUPERSEDED)
			remove := func(ctx context.Context) error { return test.remove(ctx, backend) }
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: backend.Provider(),
				Steps: []resource.TestStep{
					{ConfigFile: file("transition"), ConfigVariables: disabled("Inventory")},
					{
						ConfigFile: file("transition"), ConfigVariables: disabled("Inventory"), Destroy: true,
						ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{acctest.Between(remove)}},
					},
				},
			})
		})
	}
}

// TestParallel moves a pipeline to the mode that has no transitions. That is refused
// while one is disabled; an enabled one stays, and cannot be disabled any more.
func TestParallel(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	create(t, backend, web, headracev1.ExecutionMode_EXECUTION_MODE_SUPERSEDED)
	parallel := func(ctx context.Context) error {
		_, err := backend.API.Pipelines.UpdatePipeline(ctx, &headracev1.UpdatePipelineRequest{
			Pipeline: message(web, headracev1.ExecutionMode_EXECUTION_MODE_PARALLEL),
		})
		return err
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{
				ConfigFile: file("transition"), ConfigVariables: disabled("Inventory"),
				ConfigStateChecks: []statecheck.StateCheck{acctest.Afterwards(func(ctx context.Context) error {
					if err := parallel(ctx); client.Reason(err) != domain.ReasonNoTransitions {
						return fmt.Errorf("a freeze was dropped: %w", err)
					}
					return nil
				})},
			},
			{ConfigFile: file("transition"), ConfigStateChecks: []statecheck.StateCheck{acctest.Afterwards(parallel)}},
			{
				ConfigFile: file("transition"), ConfigVariables: disabled("Inventory"),
				ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ExpectError:      acctest.Underlined(address, `pipeline = "web"`, ""),
			},
			{ConfigFile: file("transition"), ConfigPlanChecks: planned(plancheck.ResourceActionNoop)},
		},
	})
}

// TestDriftAndConflict shows that a transition that somebody toggled is noticed,
// and that neither an apply nor a destroy enables one that somebody disabled since
// the plan.
func TestDriftAndConflict(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	create(t, backend, web, headracev1.ExecutionMode_EXECUTION_MODE_SUPERSEDED)
	toggle := func(enabled bool, reason string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := backend.API.Pipelines.SetStageTransition(ctx, &headracev1.SetStageTransitionRequest{
				Pipeline: web, Stage: "Build", Enabled: enabled, Reason: reason,
			})
			return err
		}
	}
	between := func(meddle func(context.Context) error) resource.ConfigPlanChecks {
		return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{acctest.Between(meddle)}}
	}
	enabledLater := disabled("Incident")
	enabledLater["on_destroy"] = config.StringVariable("enable")
	const changed = "It was changed by somebody else since this plan was made."
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: file("transition")},
			{
				PreConfig:  func() { require.NoError(t, toggle(false, "Incident")(t.Context())) },
				ConfigFile: file("transition"),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate),
				}},
				ConfigStateChecks: []statecheck.StateCheck{value("enabled", knownvalue.Bool(true)), holds(backend, "Build", true, "")},
			},
			{ConfigFile: file("transition"), ConfigVariables: disabled("Inventory")},
			{
				PreConfig:  func() { require.NoError(t, toggle(false, "Incident")(t.Context())) },
				ConfigFile: file("transition"), ConfigVariables: disabled("Inventory"),
				ConfigPlanChecks:  planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{holds(backend, "Build", false, "Inventory")},
			},
			{
				PreConfig:  func() { require.NoError(t, toggle(true, "")(t.Context())) },
				ConfigFile: file("transition"), ConfigVariables: disabled("Inventory"),
				ConfigPlanChecks:  planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{holds(backend, "Build", false, "Inventory")},
			},
			{ConfigFile: file("transition"), ConfigPlanChecks: between(toggle(false, "Incident")), ExpectError: acctest.Says(changed)},
			{
				ConfigFile: file("transition"), ConfigVariables: enabledLater,
				ConfigStateChecks: []statecheck.StateCheck{holds(backend, "Build", false, "Incident")},
			},
			{
				ConfigFile: file("transition"), ConfigVariables: enabledLater, Destroy: true,
				ConfigPlanChecks: between(toggle(false, "Second incident")), ExpectError: acctest.Says(changed),
			},
			{ConfigFile: file("transition"), ConfigVariables: disabled("Incident")},
		},
	})
}

// create makes a pipeline, as somebody other than Terraform would.
func create(t *testing.T, backend *acctest.Backend, name string, mode headracev1.ExecutionMode) {
	t.Helper()
	_, err := backend.API.Pipelines.CreatePipeline(t.Context(), &headracev1.CreatePipelineRequest{Pipeline: message(name, mode)})
	require.NoError(t, err)
}

func message(name string, mode headracev1.ExecutionMode) *headracev1.Pipeline {
	return &headracev1.Pipeline{
		Name: name, Composition: headracev1.Composition_COMPOSITION_INLINE,
		Definition: &headracev1.PipelineDefinition{ExecutionMode: mode, Stages: []*headracev1.Stage{
			{Name: "Source", Actions: []*headracev1.Action{{
				Name: "Fetch", Category: "Source", Owner: "Headrace", Provider: "Git", Version: "1",
				Configuration:   map[string]string{"RepositoryUrl": "https://example.com/web.git"},
				OutputArtifacts: []*headracev1.OutputArtifact{{Name: "source"}},
			}}},
			{Name: "Build", Actions: []*headracev1.Action{{
				Name: "Compile", Category: "Build", Owner: "Headrace", Provider: "Commands", Version: "1", Commands: []string{"true"},
			}}},
		}},
	}
}

// holds checks after an apply what the backend has.
func holds(backend *acctest.Backend, stage string, enabled bool, reason string) statecheck.StateCheck {
	return acctest.Afterwards(func(ctx context.Context) error { return expect(ctx, backend, stage, enabled, reason) })
}

func expect(ctx context.Context, backend *acctest.Backend, stage string, enabled bool, reason string) error {
	answer, err := backend.API.Pipelines.GetPipelineState(ctx, &headracev1.GetPipelineStateRequest{Name: web})
	if err != nil {
		return err
	}
	for _, state := range answer.GetState().GetStages() {
		transition := state.GetTransition()
		if state.GetStage() == stage && (transition.GetEnabled() != enabled || transition.GetDisabledReason() != reason) {
			return fmt.Errorf("the transition into %s is %v", stage, transition)
		}
	}
	return nil
}
