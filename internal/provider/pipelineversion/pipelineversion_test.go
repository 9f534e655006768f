package pipelineversion_test

import (
	"context"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/compare"
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
	address  = "headrace_pipeline_version.web"
	pipeline = "accounts/default/pipelines/web"
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

func version(number int64) []statecheck.StateCheck {
	return []statecheck.StateCheck{
		statecheck.ExpectKnownValue(address, tfjsonpath.New("version"), knownvalue.Int64Exact(number)),
		statecheck.ExpectKnownValue(address, tfjsonpath.New("unpublished_changes"), knownvalue.Bool(false)),
	}
}

// TestExplicit publishes many parts at once, one version an apply.
func TestExplicit(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	digest := statecheck.CompareValue(compare.ValuesDiffer())
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{
				ConfigFile:        file("version"),
				ConfigStateChecks: append(version(1), digest.AddStateValue(address, tfjsonpath.New("digest"))),
			},
			{
				ConfigFile: file("changed"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: append(version(2), digest.AddStateValue(address, tfjsonpath.New("digest"))),
			},
			{ResourceName: address, ImportState: true, ImportStateId: "web", ImportStateVerify: true, ImportStateVerifyIgnore: []string{"triggers"}},
			{ResourceName: address, ImportState: true, ImportStateId: pipeline, ImportStateVerify: true, ImportStateVerifyIgnore: []string{"triggers"}},
			// A stage is put in between, and taken out again.
			{ConfigFile: file("extended"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate), ConfigStateChecks: version(3)},
			{ConfigFile: file("changed"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate), ConfigStateChecks: version(4)},
		},
	})
}

// TestPartsOfOthers publishes what another team changed, which no trigger tells
// of.
func TestPartsOfOthers(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: file("version"), ConfigStateChecks: version(1)},
			{
				PreConfig: func() {
					_, err := backend.API.Pipelines.CreateAction(t.Context(), &headracev1.CreateActionRequest{Action: &headracev1.PipelineAction{
						Name: pipeline + "/stages/Build/actions/Lint",
						Action: &headracev1.Action{
							Name: "Lint", Category: "Test", Owner: "Headrace", Provider: "Commands", Version: "1",
							InputArtifacts: []string{"source"}, Commands: []string{"lint"},
						},
					}})
					require.NoError(t, err)
				},
				ConfigFile: file("version"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: version(2),
			},
			{
				PreConfig: func() {
					_, err := backend.API.Pipelines.DeleteAction(t.Context(), &headracev1.DeleteActionRequest{Name: pipeline + "/stages/Build/actions/Lint"})
					require.NoError(t, err)
				},
				ConfigFile: file("version"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: version(3),
			},
		},
	})
}

// TestVersionsOfOthers does not leave in force what somebody else changed and
// published, also where the version has no triggers.
func TestVersionsOfOthers(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	same := statecheck.CompareValue(compare.ValuesSame())
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{
				ConfigFile:        file("without_triggers"),
				ConfigStateChecks: append(version(1), same.AddStateValue(address, tfjsonpath.New("digest"))),
			},
			{
				PreConfig: func() {
					name := pipeline + "/stages/Build/actions/Compile"
					found, err := backend.API.Pipelines.GetAction(t.Context(), &headracev1.GetActionRequest{Name: name})
					require.NoError(t, err)
					found.GetAction().GetAction().Commands = []string{"make evil"}
					_, err = backend.API.Pipelines.UpdateAction(t.Context(), &headracev1.UpdateActionRequest{Action: found.GetAction()})
					require.NoError(t, err)
					_, err = backend.API.Pipelines.PublishPipelineVersion(t.Context(), &headracev1.PublishPipelineVersionRequest{Name: pipeline})
					require.NoError(t, err)
				},
				ConfigFile: file("without_triggers"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: append(version(3), same.AddStateValue(address, tfjsonpath.New("digest"))),
			},
		},
	})
}

// TestReplacedByAnInlinePipeline shows that somebody who does that blocks neither
// an apply nor a destroy.
func TestReplacedByAnInlinePipeline(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	replace := func(ctx context.Context) error {
		_, err := backend.API.Pipelines.DeletePipeline(ctx, &headracev1.DeletePipelineRequest{Name: pipeline})
		if err != nil {
			return err
		}
		_, err = backend.API.Pipelines.CreatePipeline(ctx, &headracev1.CreatePipelineRequest{Pipeline: &headracev1.Pipeline{
			Name: pipeline, Composition: headracev1.Composition_COMPOSITION_INLINE,
			Definition: &headracev1.PipelineDefinition{Stages: []*headracev1.Stage{
				{Name: "Source", Actions: []*headracev1.Action{{
					Name: "Fetch", Category: "Source", Owner: "Headrace", Provider: "Git", Version: "1",
					OutputArtifacts: []*headracev1.OutputArtifact{{Name: "source"}},
					Configuration:   map[string]string{"RepositoryUrl": "https://example.com/web.git"},
				}}},
				{Name: "Build", Actions: []*headracev1.Action{{
					Name: "Compile", Category: "Build", Owner: "Headrace", Provider: "Commands", Version: "1",
					InputArtifacts: []string{"source"}, Commands: []string{"make"},
				}}},
			}},
		}})
		return err
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: file("version"), ConfigStateChecks: version(1)},
			{
				PreConfig:  func() { require.NoError(t, replace(t.Context())) },
				ConfigFile: file("version"),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction("headrace_pipeline.web", plancheck.ResourceActionDestroyBeforeCreate),
					plancheck.ExpectResourceAction("headrace_stage.build", plancheck.ResourceActionCreate),
					plancheck.ExpectResourceAction("headrace_action.compile", plancheck.ResourceActionCreate),
					plancheck.ExpectResourceAction(address, plancheck.ResourceActionCreate),
				}},
				ConfigStateChecks: version(1),
			},
			{
				// Replaced after the refresh: what is to be deleted is gone.
				ConfigFile: file("version"), Destroy: true,
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{acctest.Between(replace)}},
				ExpectError:      acctest.Says(`Cannot delete pipeline "web" It was changed by somebody else`),
			},
			{ConfigFile: file("version")},
		},
	})
}

// TestPartsThatDoNotFit fails with the validator's words and publishes nothing.
func TestPartsThatDoNotFit(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: file("version"), ConfigStateChecks: version(1)},
			{ConfigFile: file("broken"), ExpectError: acctest.Says(`Stage "Build", action "Compile", input artifact 1: no earlier action produces artifact "sources" (did you mean "source"?)`)},
			{ConfigFile: file("changed"), ConfigStateChecks: version(2)},
		},
	})
}

// TestAuto publishes by itself as soon as the parts fit together.
func TestAuto(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{{
			ConfigFile: file("auto"),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue("data.headrace_pipeline.web", tfjsonpath.New("version"), knownvalue.Int64Exact(1)),
				statecheck.ExpectKnownValue("data.headrace_pipeline.web", tfjsonpath.New("composition"), knownvalue.StringExact("composed")),
				statecheck.ExpectKnownValue("data.headrace_pipeline.web", tfjsonpath.New("unpublished_changes"), knownvalue.Bool(false)),
				statecheck.ExpectKnownValue("data.headrace_pipeline.web", tfjsonpath.New("stages").AtSliceIndex(1).AtMapKey("actions").AtSliceIndex(0).AtMapKey("provider"),
					knownvalue.StringExact("Commands")),
			},
		}},
	})
}
