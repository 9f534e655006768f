package pipelinestate_test

import (
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/config"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/internal/provider/acctest"
)

const (
	address = "data.headrace_pipeline_state.web"
	web     = "accounts/default/pipelines/web"
)

func TestMain(m *testing.M) {
	acctest.Main(m)
}

func value(attribute string, check knownvalue.Check) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(address, tfjsonpath.New(attribute), check)
}

// TestState reads a pipeline that never ran, then one with an execution in a stage
// and another that waits in front of it, and at last one that has no transitions.
func TestState(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	// Somebody has to agree before the first stage.
	_, err := backend.API.ApprovalRules.CreateApprovalRule(t.Context(), &headracev1.CreateApprovalRuleRequest{
		ApprovalRule: &headracev1.ApprovalRule{
			Name: "accounts/default/approvalRules/wait", MinimumCount: 1,
			Selector: &headracev1.ApprovalSelector{Pipelines: []string{"web"}, Stages: []string{"Source"}},
		},
	})
	require.NoError(t, err)
	_, err = backend.API.Pipelines.CreatePipeline(t.Context(), &headracev1.CreatePipelineRequest{
		Pipeline: message(headracev1.ExecutionMode_EXECUTION_MODE_QUEUED),
	})
	require.NoError(t, err)
	untouched := knownvalue.ObjectExact(map[string]knownvalue.Check{
		"enabled": knownvalue.Bool(true), "disabled_reason": knownvalue.Null(), "principal": knownvalue.Null(), "changed_at": knownvalue.Null(),
	})
	nobody := func(name string, transition knownvalue.Check) knownvalue.Check {
		return knownvalue.ObjectExact(map[string]knownvalue.Check{
			"name": knownvalue.StringExact(name), "transition": transition,
			"current_execution": knownvalue.Null(), "inbound_executions": knownvalue.ListSizeExact(0),
			"latest_execution": knownvalue.Null(), "latest_succeeded_execution": knownvalue.Null(),
		})
	}
	var first, second string
	is := func(id *string) knownvalue.Check {
		return knownvalue.StringFunc(func(found string) error {
			assert.Equal(t, *id, found)
			return nil
		})
	}
	file := config.StaticFile("testdata/state.tf")
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{
				ConfigFile: file,
				ConfigStateChecks: []statecheck.StateCheck{
					value("id", knownvalue.StringExact(web)), value("account", knownvalue.StringExact("default")),
					value("pipeline_version", knownvalue.Int64Exact(1)), value("execution_mode", knownvalue.StringExact("QUEUED")),
					value("stages", knownvalue.ListExact([]knownvalue.Check{nobody("Source", untouched), nobody("Build", untouched)})),
				},
			},
			{
				PreConfig: func() {
					first, second = start(t, backend), start(t, backend)
					_, err := backend.API.Pipelines.SetStageTransition(t.Context(), &headracev1.SetStageTransitionRequest{
						Pipeline: web, Stage: "Build", Reason: "Inventory",
					})
					require.NoError(t, err)
					require.EventuallyWithT(t, func(c *assert.CollectT) {
						found, err := backend.API.Pipelines.GetPipelineState(t.Context(), &headracev1.GetPipelineStateRequest{Name: web})
						require.NoError(c, err)
						require.Len(c, found.GetState().GetStages()[0].GetInboundExecutions(), 1)
					}, time.Minute, 50*time.Millisecond)
				},
				ConfigFile: file,
				ConfigStateChecks: []statecheck.StateCheck{
					value("stages", knownvalue.ListExact([]knownvalue.Check{
						knownvalue.ObjectPartial(map[string]knownvalue.Check{
							"current_execution": is(&first), "latest_execution": is(&first), "latest_succeeded_execution": knownvalue.Null(),
							"inbound_executions": knownvalue.ListExact([]knownvalue.Check{is(&second)}),
						}),
						nobody("Build", knownvalue.ObjectPartial(map[string]knownvalue.Check{
							"enabled": knownvalue.Bool(false), "disabled_reason": knownvalue.StringExact("Inventory"),
							"principal": knownvalue.StringExact("admin"), "changed_at": knownvalue.NotNull(),
						})),
					})),
					statecheck.ExpectKnownOutputValue("frozen", knownvalue.ListExact([]knownvalue.Check{knownvalue.StringExact("Build")})),
				},
			},
			{
				PreConfig: func() {
					_, err := backend.API.Pipelines.SetStageTransition(t.Context(), &headracev1.SetStageTransitionRequest{
						Pipeline: web, Stage: "Build", Enabled: true,
					})
					require.NoError(t, err)
					_, err = backend.API.Pipelines.UpdatePipeline(t.Context(), &headracev1.UpdatePipelineRequest{
						Pipeline: message(headracev1.ExecutionMode_EXECUTION_MODE_PARALLEL),
					})
					require.NoError(t, err)
				},
				ConfigFile: file,
				ConfigStateChecks: []statecheck.StateCheck{
					value("execution_mode", knownvalue.StringExact("PARALLEL")), value("stages", knownvalue.ListSizeExact(0)),
				},
			},
		},
	})
}

func TestMissingPipeline(t *testing.T) {
	t.Parallel()
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Start(t).Provider(),
		Steps: []resource.TestStep{{
			ConfigFile: config.StaticFile("testdata/state.tf"), ExpectError: acctest.Says(`Cannot read the state of pipeline "web"`),
		}},
	})
}

func start(t *testing.T, backend *acctest.Backend) string {
	t.Helper()
	started, err := backend.API.Executions.StartExecution(t.Context(), &headracev1.StartExecutionRequest{Pipeline: web})
	require.NoError(t, err)
	return started.GetExecution().GetId()
}

func message(mode headracev1.ExecutionMode) *headracev1.Pipeline {
	return &headracev1.Pipeline{
		Name: web, Composition: headracev1.Composition_COMPOSITION_INLINE,
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
