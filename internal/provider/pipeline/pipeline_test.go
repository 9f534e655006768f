package pipeline_test

import (
	"context"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/compare"
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
	"github.com/headrace/terraform-provider-headrace/internal/provider/acctest"
)

const address = "headrace_pipeline.web"

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

// TestLife declares a pipeline, changes every argument, clears them again and
// imports it. The plan after each step is empty, or the step fails.
func TestLife(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	sameID := statecheck.CompareValue(compare.ValuesSame())
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{
				ConfigFile: file("inline"),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction(address, plancheck.ResourceActionCreate),
					plancheck.ExpectKnownValue(address, tfjsonpath.New("id"), knownvalue.StringExact("accounts/default/pipelines/web")),
					plancheck.ExpectUnknownValue(address, tfjsonpath.New("version")),
				}},
				ConfigStateChecks: []statecheck.StateCheck{
					sameID.AddStateValue(address, tfjsonpath.New("id")),
					value("account", knownvalue.StringExact("default")),
					value("version", knownvalue.Int64Exact(1)),
					value("execution_mode", knownvalue.StringExact("SUPERSEDED")),
					value("on_update", knownvalue.StringExact("finish")),
					value("pipeline_type", knownvalue.StringExact("V2")),
					value("publish", knownvalue.Null()),
					value("force_destroy", knownvalue.Bool(false)),
					value("description", knownvalue.Null()),
				},
			},
			{
				ConfigFile:       file("full"),
				ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{
					sameID.AddStateValue(address, tfjsonpath.New("id")),
					value("version", knownvalue.Int64Exact(2)),
					value("on_update", knownvalue.StringExact("cancel")),
					value("stage", knownvalue.ListSizeExact(3)),
				},
			},
			{ResourceName: address, ImportState: true, ImportStateId: "web", ImportStateVerify: true, ImportStateVerifyIgnore: []string{
				// The backend does not know it.
				"force_destroy",
				// Imported as missing: the backend knows no empty ones.
				"stage.1.action.0.configuration.%",
				"stage.1.action.0.output_artifact_files.%", "stage.1.action.0.output_artifact_files.reports.#",
				"stage.2.action.0.commands.#", "stage.2.action.0.input_artifacts.#",
			}},
			{
				ConfigFile:       file("inline"),
				ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{
					value("version", knownvalue.Int64Exact(3)),
					value("description", knownvalue.Null()),
					value("execution_mode", knownvalue.StringExact("SUPERSEDED")),
					value("on_update", knownvalue.StringExact("finish")),
				},
			},
			{ResourceName: address, ImportState: true, ImportStateId: "web", ImportStateVerify: true},
			{ResourceName: address, ImportState: true, ImportStateId: "default/web", ImportStateVerify: true},
			{ResourceName: address, ImportState: true, ImportStateId: "accounts/default/pipelines/web", ImportStateVerify: true},
			{ResourceName: address, ImportState: true, ImportStateId: "missing", ExpectError: acctest.Says("Cannot import non-existent remote object")},
			{ResourceName: address, ImportState: true, ImportStateId: "a/b/c/d", ExpectError: acctest.Says("write PIPELINE, ACCOUNT/PIPELINE or")},
		},
	})
}

// TestGates declares conditions, changes them all and takes them away; what
// somebody else takes away is noticed.
func TestGates(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	stage := tfjsonpath.New("stage").AtSliceIndex(1)
	blocks := func(before, success, failure int) statecheck.StateCheck {
		return statecheck.ExpectKnownValue(address, stage, knownvalue.ObjectPartial(map[string]knownvalue.Check{
			"before_entry": knownvalue.ListSizeExact(before), "on_success": knownvalue.ListSizeExact(success),
			"on_failure": knownvalue.ListSizeExact(failure),
		}))
	}
	smoke := stage.AtMapKey("on_success").AtSliceIndex(0).AtMapKey("condition").AtSliceIndex(0).AtMapKey("rule").AtSliceIndex(0)
	take := func() {
		found, err := backend.API.Pipelines.GetPipeline(t.Context(), &headracev1.GetPipelineRequest{Name: "accounts/default/pipelines/web"})
		require.NoError(t, err)
		found.GetPipeline().GetDefinition().GetStages()[1].BeforeEntry = nil
		found.GetPipeline().GetDefinition().OnUpdate = headracev1.OnUpdate_ON_UPDATE_CANCEL
		_, err = backend.API.Pipelines.UpdatePipeline(t.Context(), &headracev1.UpdatePipelineRequest{Pipeline: found.GetPipeline()})
		require.NoError(t, err)
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{
				ConfigFile: file("gates"),
				ConfigStateChecks: []statecheck.StateCheck{
					blocks(1, 1, 1),
					statecheck.ExpectKnownValue(address, smoke, knownvalue.ObjectPartial(map[string]knownvalue.Check{
						"environment_variable": knownvalue.ListExact([]knownvalue.Check{
							knownvalue.ObjectPartial(map[string]knownvalue.Check{"name": knownvalue.StringExact("URL")}),
							knownvalue.ObjectExact(map[string]knownvalue.Check{
								"name": knownvalue.StringExact("EXPECTED"), "value": knownvalue.StringExact("200"), "type": knownvalue.StringExact("PLAINTEXT"),
							}),
						}),
					})),
				},
			},
			{
				ResourceName: address, ImportState: true, ImportStateId: "web", ImportStateVerify: true,
				// The backend knows one owner of rules.
				ImportStateVerifyIgnore: []string{"stage.1.before_entry.0.condition.0.rule.1.rule_type_id.0.owner"},
			},
			{
				PreConfig: take, ConfigFile: file("gates"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{blocks(1, 1, 1), value("on_update", knownvalue.StringExact("finish"))},
			},
			{
				ConfigFile: file("other_gates"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{blocks(1, 0, 1)},
			},
			{ResourceName: address, ImportState: true, ImportStateId: "web", ImportStateVerify: true},
			{
				ConfigFile: file("no_gates"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{blocks(0, 0, 0)},
			},
			{ConfigFile: file("gates"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate)},
		},
	})
}

// TestLocalArguments shows that what the backend does not know publishes nothing.
func TestLocalArguments(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	same := statecheck.CompareValue(compare.ValuesSame())
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: file("inline"), ConfigStateChecks: []statecheck.StateCheck{same.AddStateValue(address, tfjsonpath.New("etag"))}},
			{
				ConfigFile: file("force_destroy"),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate),
					plancheck.ExpectKnownValue(address, tfjsonpath.New("version"), knownvalue.Int64Exact(1)),
				}},
				ConfigStateChecks: []statecheck.StateCheck{
					value("version", knownvalue.Int64Exact(1)),
					same.AddStateValue(address, tfjsonpath.New("etag")),
				},
			},
		},
	})
}

func TestInsertedStage(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: file("inline")},
			{
				ConfigFile:       file("inserted"),
				ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectKnownValue(address, tfjsonpath.New("stage").AtSliceIndex(2).AtMapKey("action").AtSliceIndex(0),
						knownvalue.ObjectPartial(map[string]knownvalue.Check{
							"name": knownvalue.StringExact("Compile"), "run_order": knownvalue.Int64Exact(1),
							"on_lost": knownvalue.Null(), "environment_variable": knownvalue.ListSizeExact(0),
						})),
				},
			},
			{ConfigFile: file("inline"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate)},
		},
	})
}

func TestReplacements(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	backend.Account("prod")
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: file("inline")},
			{ConfigFile: file("renamed"), ConfigPlanChecks: planned(plancheck.ResourceActionDestroyBeforeCreate)},
			{
				ConfigFile: file("composed"), ConfigPlanChecks: planned(plancheck.ResourceActionDestroyBeforeCreate),
				ConfigStateChecks: []statecheck.StateCheck{
					value("publish", knownvalue.StringExact("auto")), value("version", knownvalue.Null()),
				},
			},
			{ConfigFile: file("inline"), ConfigPlanChecks: planned(plancheck.ResourceActionDestroyBeforeCreate)},
			{
				ConfigFile: file("other_account"), ConfigPlanChecks: planned(plancheck.ResourceActionDestroyBeforeCreate),
				ConfigStateChecks: []statecheck.StateCheck{value("id", knownvalue.StringExact("accounts/prod/pipelines/web"))},
			},
		},
	})
}

// TestPublishPolicy goes from one policy to the other and back, also by leaving
// it out.
func TestPublishPolicy(t *testing.T) {
	t.Parallel()
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Start(t).Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: file("composed"), ConfigStateChecks: []statecheck.StateCheck{value("publish", knownvalue.StringExact("auto"))}},
			{
				ConfigFile: file("composed_explicit"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{value("publish", knownvalue.StringExact("explicit"))},
			},
			{ResourceName: address, ImportState: true, ImportStateId: "web", ImportStateVerify: true},
			{
				ConfigFile: file("composed"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{value("publish", knownvalue.StringExact("auto"))},
			},
		},
	})
}

// TestComposedPipelineInOutput publishes versions after the pipeline was applied,
// which no output may lag behind.
func TestComposedPipelineInOutput(t *testing.T) {
	t.Parallel()
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Start(t).Provider(),
		Steps: []resource.TestStep{{
			ConfigFile: file("composed_output"),
			ConfigPlanChecks: resource.ConfigPlanChecks{
				PreApply:             []plancheck.PlanCheck{plancheck.ExpectKnownValue(address, tfjsonpath.New("version"), knownvalue.Null())},
				PostApplyPostRefresh: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()},
			},
		}},
	})
}

func TestRepeatedBlocks(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{{
			ConfigFile: file("repeated"),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue("headrace_pipeline.web[1]", tfjsonpath.New("stage"), knownvalue.ListSizeExact(3)),
			},
		}},
	})
}

// TestComposedGetsUnknownStages says in the plan what Terraform would call a bug of
// the provider in the apply.
func TestComposedGetsUnknownStages(t *testing.T) {
	t.Parallel()
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Start(t).Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: file("composed")},
			{
				ConfigFile:  file("composed_unknown"),
				ExpectError: acctest.Says("The pipeline is composed, and its stage blocks are made of values that are not known yet."),
			},
		},
	})
}

// TestUnknownValues applies what a plan could not know.
func TestUnknownValues(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"unknown_values", "unknown_blocks", "unknown_gates"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Start(t).Provider(),
				Steps:                    []resource.TestStep{{ConfigFile: file(name)}},
			})
		})
	}
}

func TestDisappears(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	remove := func(ctx context.Context) error {
		_, err := backend.API.Pipelines.DeletePipeline(ctx, &headracev1.DeletePipelineRequest{Name: "accounts/default/pipelines/web"})
		return err
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{
				ConfigFile:         file("inline"),
				ConfigStateChecks:  []statecheck.StateCheck{acctest.Afterwards(remove)},
				ExpectNonEmptyPlan: true,
			},
			{ConfigFile: file("inline"), ConfigPlanChecks: planned(plancheck.ResourceActionCreate)},
			// Gone before the destroy, which succeeds all the same.
			{
				ConfigFile: file("inline"), Destroy: true,
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{acctest.Between(remove)}},
			},
		},
	})
}

func TestDrift(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: file("described")},
			{
				PreConfig:  func() { require.NoError(t, describe(backend, "Somebody was here")(t.Context())) },
				ConfigFile: file("described"),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate),
					plancheck.ExpectUnknownValue(address, tfjsonpath.New("version")),
				}},
				ConfigStateChecks: []statecheck.StateCheck{
					value("description", knownvalue.StringExact("The web server")),
					value("version", knownvalue.Int64Exact(3)),
				},
			},
		},
	})
}

// TestConflict shows that of two applies on one pipeline the second fails, says
// why, and writes nothing.
func TestConflict(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: file("inline")},
			{
				ConfigFile: file("described"),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					acctest.Between(describe(backend, "I was first")),
				}},
				ExpectError: acctest.Says("It was changed by somebody else since this plan was made. This object was not written."),
			},
			{
				PreConfig: func() {
					found, err := backend.API.Pipelines.GetPipeline(t.Context(),
						&headracev1.GetPipelineRequest{Name: "accounts/default/pipelines/web"})
					require.NoError(t, err)
					require.Equal(t, "I was first", found.GetPipeline().GetDefinition().GetDescription())
				},
				ConfigFile: file("described"),
			},
			{
				ConfigFile: file("described"), Destroy: true,
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{acctest.Between(describe(backend, "I was here, too"))}},
				ExpectError:      acctest.Says("It was changed by somebody else since this plan was made."),
			},
			{ConfigFile: file("described")},
		},
	})
}

// TestExists shows that nothing is taken over that somebody else made.
func TestExists(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{{
			PreConfig: func() {
				_, err := backend.API.Pipelines.CreatePipeline(t.Context(), &headracev1.CreatePipelineRequest{Pipeline: &headracev1.Pipeline{
					Name: "accounts/default/pipelines/web", Definition: &headracev1.PipelineDefinition{},
					Composition: headracev1.Composition_COMPOSITION_COMPOSED,
				}})
				require.NoError(t, err)
			},
			ConfigFile:  file("inline"),
			ExpectError: acctest.Says("import it, or choose another name"),
		}},
	})
}

// TestDestroyOfALivePipeline is refused until the configuration says that the
// execution may be abandoned.
func TestDestroyOfALivePipeline(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	start := func(ctx context.Context) error {
		// Somebody has to agree before the first stage: the execution waits.
		_, err := backend.API.ApprovalRules.CreateApprovalRule(ctx, &headracev1.CreateApprovalRuleRequest{
			ApprovalRule: &headracev1.ApprovalRule{
				Name: client.ApprovalRuleName("default", "wait"), MinimumCount: 1,
				Selector: &headracev1.ApprovalSelector{Pipelines: []string{"web"}, Stages: []string{"Source"}},
			},
		})
		if err != nil {
			return err
		}
		_, err = backend.API.Executions.StartExecution(ctx, &headracev1.StartExecutionRequest{Pipeline: "accounts/default/pipelines/web"})
		return err
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: file("inline"), ConfigStateChecks: []statecheck.StateCheck{acctest.Afterwards(start)}},
			{ConfigFile: file("inline"), Destroy: true, ExpectError: acctest.Says("or set force_destroy = true, apply, and destroy, which abandons it.")},
			{ConfigFile: file("force_destroy")},
			{ConfigFile: file("force_destroy"), Destroy: true},
		},
	})
}

// TestRefusals shows what the provider makes of a server that refuses or is not
// there.
func TestRefusals(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	viewer := backend.Token("vera", nil, &headracev1.RoleBinding{Account: "default", Role: headracev1.Role_ROLE_VIEWER})
	tests := map[string]struct {
		environment map[string]string
		says        string
	}{
		"nobody listens": {
			map[string]string{client.EnvEndpoint: "127.0.0.1:9", client.EnvToken: "none"},
			"cannot reach headraced at 127.0.0.1:9",
		},
		"wrong token": {
			map[string]string{client.EnvEndpoint: backend.Endpoint, client.EnvToken: "sesame"},
			"does not accept the token",
		},
		"no token": {
			map[string]string{client.EnvEndpoint: backend.Endpoint},
			"wants a token: set HEADRACE_TOKEN",
		},
		"missing role": {
			map[string]string{client.EnvEndpoint: backend.Endpoint, client.EnvToken: viewer},
			`Cannot create pipeline "web"`,
		},
		"endpoint is a URL": {
			map[string]string{client.EnvEndpoint: "https://example.com"},
			"is a URL: use host:port alone",
		},
		"account is no name": {
			map[string]string{client.EnvAccount: "a/b"},
			"It comes from the environment variable HEADRACE_ACCOUNT.",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Factories(test.environment),
				Steps:                    []resource.TestStep{{ConfigFile: file("inline"), ExpectError: acctest.Says(test.says)}},
			})
		})
	}
}

// describe returns what somebody else does to the pipeline.
func describe(backend *acctest.Backend, description string) func(context.Context) error {
	return func(ctx context.Context) error {
		found, err := backend.API.Pipelines.GetPipeline(ctx, &headracev1.GetPipelineRequest{Name: "accounts/default/pipelines/web"})
		if err != nil {
			return err
		}
		found.GetPipeline().GetDefinition().Description = description
		_, err = backend.API.Pipelines.UpdatePipeline(ctx, &headracev1.UpdatePipelineRequest{Pipeline: found.GetPipeline()})
		return err
	}
}

// TestNullEntries shows that an entry of a map that is null counts as absent: nothing is
// refused or sent for it, it stays in the state, and neither the next plan nor one after an
// import changes anything.
func TestNullEntries(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	fetch := tfjsonpath.New("stage").AtSliceIndex(0).AtMapKey("action").AtSliceIndex(0).AtMapKey("configuration")
	nulls := func(branch, tag knownvalue.Check) []statecheck.StateCheck {
		return []statecheck.StateCheck{statecheck.ExpectKnownValue(address, fetch, knownvalue.MapExact(map[string]knownvalue.Check{
			"RepositoryUrl": knownvalue.StringExact("https://example.com/web.git"), "Branch": branch, "Tag": tag, "Commit": knownvalue.Null(),
		}))}
	}
	sent := func(*terraform.State) error {
		found, err := backend.API.Pipelines.GetPipeline(t.Context(), &headracev1.GetPipelineRequest{Name: "accounts/default/pipelines/web"})
		if err != nil {
			return err
		}
		stages := found.GetPipeline().GetDefinition().GetStages()
		require.Equal(t, map[string]string{"RepositoryUrl": "https://example.com/web.git", "Tag": "v1"}, stages[0].GetActions()[0].GetConfiguration())
		require.Empty(t, stages[1].GetActions()[0].GetConfiguration())
		return nil
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: file("nulls"), ConfigStateChecks: nulls(knownvalue.StringExact("main"), knownvalue.Null())},
			{
				ConfigFile: file("nulls"), ConfigVariables: config.Variables{"tag": config.StringVariable("v1")},
				ConfigStateChecks: nulls(knownvalue.Null(), knownvalue.StringExact("v1")), Check: sent,
			},
			{
				ConfigFile: file("nulls"), ConfigVariables: config.Variables{"tag": config.StringVariable("v1")},
				ResourceName: address, ImportState: true, ImportStateId: "web", ImportStateKind: resource.ImportBlockWithID,
			},
		},
	})
}
