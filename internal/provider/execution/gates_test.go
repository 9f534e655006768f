package execution_test

import (
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/internal/provider/acctest"
)

const web = "accounts/default/pipelines/web"

// TestWaitReasons tells of an approval, of the execution that waits behind it, with
// what that one waits for, and of a disabled transition.
func TestWaitReasons(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	url, _ := repository(t)
	create(t, backend, url, &headracev1.Stage{Name: "Release", Actions: []*headracev1.Action{{
		Name: "Approve", Category: "Approval", Owner: "Headrace", Provider: "Manual", Version: "1",
	}}})
	approval := func(depth int64) knownvalue.Check {
		return knownvalue.ObjectPartial(map[string]knownvalue.Check{
			"depth": knownvalue.Int64Exact(depth), "kind": knownvalue.StringExact("APPROVAL"), "message": knownvalue.NotNull(),
			"stage": knownvalue.StringExact("Release"), "action": knownvalue.StringExact("Approve"), "since": knownvalue.NotNull(),
			"until": knownvalue.NotNull(), "blocking_execution": knownvalue.Null(), "queue_position": knownvalue.Null(),
			"missing_approvals": knownvalue.ListExact([]knownvalue.Check{knownvalue.ObjectPartial(map[string]knownvalue.Check{
				"rule": knownvalue.Null(), "missing_count": knownvalue.Int64Exact(1), "users": knownvalue.ListSizeExact(0),
			})}),
		})
	}
	var first string
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{
				PreConfig:  func() { first = waits(t, backend, headracev1.WaitKind_WAIT_KIND_APPROVAL) },
				ConfigFile: file("outside"),
				ConfigStateChecks: []statecheck.StateCheck{
					value(latest, "status", knownvalue.StringExact("InProgress")),
					value(latest, "wait_reasons", knownvalue.ListExact([]knownvalue.Check{approval(0)})),
				},
			},
			{
				PreConfig:  func() { waits(t, backend, headracev1.WaitKind_WAIT_KIND_STAGE_LOCK) },
				ConfigFile: file("outside"),
				ConfigStateChecks: []statecheck.StateCheck{
					value(latest, "wait_reasons", knownvalue.ListExact([]knownvalue.Check{
						knownvalue.ObjectPartial(map[string]knownvalue.Check{
							"depth": knownvalue.Int64Exact(0), "kind": knownvalue.StringExact("STAGE_LOCK"),
							"blocking_execution": knownvalue.StringFunc(func(id string) error {
								assert.Equal(t, first, id)
								return nil
							}),
							"queue_position": knownvalue.Int64Exact(1), "missing_approvals": knownvalue.ListSizeExact(0),
						}),
						approval(1),
					})),
				},
			},
			{
				PreConfig: func() {
					disable(t, backend, "Source", "Inventory")
					waits(t, backend, headracev1.WaitKind_WAIT_KIND_TRANSITION)
				},
				ConfigFile: file("outside"),
				ConfigStateChecks: []statecheck.StateCheck{
					value(latest, "wait_reasons", knownvalue.ListExact([]knownvalue.Check{
						knownvalue.ObjectPartial(map[string]knownvalue.Check{
							"kind": knownvalue.StringExact("TRANSITION"), "stage": knownvalue.StringExact("Source"),
							"transition_reason": knownvalue.StringExact("Inventory"),
						}),
					})),
				},
			},
		},
	})
}

// TestConditionsAndRetries reads a stage that its condition skipped and one that
// was retried once.
func TestConditionsAndRetries(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	url, _ := repository(t)
	create(t, backend, url,
		&headracev1.Stage{
			Name: "Canary", Actions: []*headracev1.Action{commands("Install", "true")},
			BeforeEntry: &headracev1.Condition{Result: "SKIP", Rules: []*headracev1.Rule{{
				Name: "nobody", Provider: "VariableCheck", Version: "1",
				Configuration: map[string]string{"Variable": "#{variables.who}", "Operator": "EQ", "Value": "nobody"},
			}}},
		},
		&headracev1.Stage{
			Name: "Release", Actions: []*headracev1.Action{commands("Install", "false")},
			OnFailure: &headracev1.OnFailure{Result: "RETRY"},
		})
	stages := func(index int) tfjsonpath.Path { return tfjsonpath.New("stages").AtSliceIndex(index) }
	action := func(retried bool) knownvalue.Check {
		return knownvalue.ObjectPartial(map[string]knownvalue.Check{
			"name": knownvalue.StringExact("Install"), "status": knownvalue.StringExact("Failed"), "retried": knownvalue.Bool(retried),
		})
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{{
			PreConfig:  func() { run(t, backend, nil, headracev1.ExecutionStatus_EXECUTION_STATUS_FAILED) },
			ConfigFile: file("outside"),
			ConfigStateChecks: []statecheck.StateCheck{
				value(latest, "wait_reasons", knownvalue.ListSizeExact(0)),
				statecheck.ExpectKnownValue(latest, stages(1), knownvalue.ObjectPartial(map[string]knownvalue.Check{
					"name": knownvalue.StringExact("Canary"), "status": knownvalue.StringExact("Skipped"),
					"actions": knownvalue.ListSizeExact(0), "retry": knownvalue.Null(),
					"conditions": knownvalue.ListExact([]knownvalue.Check{knownvalue.ObjectPartial(map[string]knownvalue.Check{
						"kind": knownvalue.StringExact("BEFORE_ENTRY"), "result": knownvalue.StringExact("SKIP"),
						"status": knownvalue.StringExact("Failed"), "summary": knownvalue.NotNull(), "override": knownvalue.Null(),
						"started_at": knownvalue.NotNull(), "finished_at": knownvalue.NotNull(),
						"rules": knownvalue.ListExact([]knownvalue.Check{knownvalue.ObjectPartial(map[string]knownvalue.Check{
							"name": knownvalue.StringExact("nobody"), "provider": knownvalue.StringExact("VariableCheck"),
							"status": knownvalue.StringExact("Failed"), "summary": knownvalue.NotNull(),
						})}),
					})}),
				})),
				statecheck.ExpectKnownValue(latest, stages(2), knownvalue.ObjectPartial(map[string]knownvalue.Check{
					"status": knownvalue.StringExact("Failed"), "conditions": knownvalue.ListSizeExact(0),
					"actions": knownvalue.ListExact([]knownvalue.Check{action(true), action(false)}),
					"retry": knownvalue.ObjectPartial(map[string]knownvalue.Check{
						"automatic_attempts": knownvalue.Int64Exact(1), "manual_attempts": knownvalue.Int64Exact(0),
						"latest_trigger": knownvalue.StringExact("AutomatedStageRetry"), "latest_at": knownvalue.NotNull(),
					}),
				})),
			},
		}},
	})
}

// TestRollback reads an execution that rolled a stage back.
func TestRollback(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	url, _ := repository(t)
	create(t, backend, url, &headracev1.Stage{Name: "Release", Actions: []*headracev1.Action{commands("Install", "true")}})
	rolled := func(target string) knownvalue.Check {
		return knownvalue.ObjectExact(map[string]knownvalue.Check{
			"target_execution": knownvalue.StringExact(target), "target_number": knownvalue.Int64Exact(1),
		})
	}
	target := run(t, backend, nil, headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED)
	started, err := backend.API.Executions.RollbackStage(t.Context(), &headracev1.RollbackStageRequest{
		Pipeline: web, Stage: "Release", TargetExecution: web + "/executions/" + target,
	})
	require.NoError(t, err)
	ends(t, backend, started.GetExecution().GetName(), headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{{
			ConfigFile: file("outside"),
			ConfigStateChecks: []statecheck.StateCheck{
				value(latest, "execution_type", knownvalue.StringExact("ROLLBACK")),
				value(latest, "rollback", rolled(target)),
				value(latest, "stages", knownvalue.ListSizeExact(1)),
				value(latest, "trigger", knownvalue.ObjectPartial(map[string]knownvalue.Check{
					"type": knownvalue.StringExact("ManualRollback"), "detail": knownvalue.StringExact(target),
				})),
				value("data.headrace_executions.all", "executions", knownvalue.ListExact([]knownvalue.Check{
					knownvalue.ObjectPartial(map[string]knownvalue.Check{
						"execution_type": knownvalue.StringExact("ROLLBACK"), "rollback": rolled(target), "attempt": knownvalue.Int64Exact(1),
					}),
					knownvalue.ObjectPartial(map[string]knownvalue.Check{
						"execution_type": knownvalue.StringExact("STANDARD"), "rollback": knownvalue.Null(), "attempt": knownvalue.Int64Exact(1),
					}),
				})),
			},
		}},
	})
}

// create makes the pipeline, as somebody other than Terraform would.
func create(t *testing.T, backend *acctest.Backend, url string, stages ...*headracev1.Stage) {
	t.Helper()
	who := "world"
	source := &headracev1.Stage{Name: "Source", Actions: []*headracev1.Action{{
		Name: "Fetch", Category: "Source", Owner: "Headrace", Provider: "Git", Version: "1",
		Configuration:   map[string]string{"RepositoryUrl": url, "Branch": "main"},
		OutputArtifacts: []*headracev1.OutputArtifact{{Name: "source"}},
	}}}
	_, err := backend.API.Pipelines.CreatePipeline(t.Context(), &headracev1.CreatePipelineRequest{Pipeline: &headracev1.Pipeline{
		Name: web, Composition: headracev1.Composition_COMPOSITION_INLINE,
		Definition: &headracev1.PipelineDefinition{
			ExecutionMode: headracev1.ExecutionMode_EXECUTION_MODE_QUEUED,
			Variables:     []*headracev1.Variable{{Name: "who", DefaultValue: &who}},
			Stages:        append([]*headracev1.Stage{source}, stages...),
		},
	}})
	require.NoError(t, err)
}

func commands(name, line string) *headracev1.Action {
	return &headracev1.Action{
		Name: name, Category: "Deploy", Owner: "Headrace", Provider: "Commands", Version: "1", Commands: []string{line},
	}
}

func disable(t *testing.T, backend *acctest.Backend, stage, reason string) {
	t.Helper()
	_, err := backend.API.Pipelines.SetStageTransition(t.Context(), &headracev1.SetStageTransitionRequest{
		Pipeline: web, Stage: stage, Reason: reason,
	})
	require.NoError(t, err)
}

// waits starts an execution and lets it run until it waits for that.
func waits(t *testing.T, backend *acctest.Backend, kind headracev1.WaitKind) string {
	t.Helper()
	started, err := backend.API.Executions.StartExecution(t.Context(), &headracev1.StartExecutionRequest{Pipeline: web})
	require.NoError(t, err)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		explained, err := backend.API.Executions.ExplainExecution(t.Context(), &headracev1.ExplainExecutionRequest{
			Name: started.GetExecution().GetName(),
		})
		require.NoError(c, err)
		require.NotEmpty(c, explained.GetReasons())
		require.Equal(c, kind, explained.GetReasons()[0].GetKind(), explained.GetSummary())
	}, time.Minute, 50*time.Millisecond)
	return started.GetExecution().GetId()
}
