package provider_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/config"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/internal/provider/acctest"
)

// TestNewerProviderWithAnOlderServer holds that what the server lacks fails the plan by
// name, that nothing is tainted, replaced or half written by it, and that all else works.
func TestNewerProviderWithAnOlderServer(t *testing.T) {
	t.Parallel()
	endpoint, token := acctest.StartOlder(t)
	file := config.StaticFile("testdata/skew/newer/main.tf")
	with := func(branch string, skip bool) config.Variables {
		return config.Variables{"branch": config.StringVariable(branch), "skip_approvals": config.BoolVariable(skip)}
	}
	lacks := ` needs headraced with contract revision 3 or later; the one at ` + endpoint + ` has version ` + acctest.OlderVersion +
		` (contract revision 2): upgrade it, or remove on_rollback`
	onPipeline := acctest.Underlined("headrace_pipeline.web", `on_rollback {`, `on_rollback of stage "Deploy"`+lacks)
	onStage := acctest.Underlined("headrace_stage.deploy", `resource "headrace_stage" "deploy" {`, `on_rollback`+lacks)
	updates := func(addresses ...string) resource.ConfigPlanChecks {
		checks := []plancheck.PlanCheck{}
		for _, address := range addresses {
			checks = append(checks, plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate))
		}
		return resource.ConfigPlanChecks{PreApply: checks}
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories(map[string]string{client.EnvEndpoint: endpoint, client.EnvToken: token}),
		Steps: []resource.TestStep{
			{ConfigFile: file, ConfigVariables: with("main", true), ExpectError: onPipeline},
			{ConfigFile: file, ConfigVariables: with("main", true), ExpectError: onStage},
			{ConfigFile: file, ConfigVariables: with("main", false)},
			{ConfigFile: file, ConfigVariables: with("next", true), ExpectError: onPipeline},
			{
				ConfigFile: file, ConfigVariables: with("next", false),
				ConfigPlanChecks: updates("headrace_pipeline.web", "headrace_stage.deploy", "headrace_action.ship", "headrace_stage_transition.deploy"),
			},
		},
	})
}

// TestNewerResourcesWithAnOlderServer holds that a plan of a resource that the server does not
// have fails, and says what to upgrade.
func TestNewerResourcesWithAnOlderServer(t *testing.T) {
	t.Parallel()
	endpoint, token := acctest.StartOlder(t)
	for _, name := range []string{"webhook", "trigger"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Factories(map[string]string{client.EnvEndpoint: endpoint, client.EnvToken: token}),
				Steps: []resource.TestStep{{
					ConfigFile: config.StaticFile("testdata/skew/triggers/" + name + ".tf"), PlanOnly: true,
					ExpectError: acctest.Says("needs headraced with contract revision 4 or later; the one at " + endpoint),
				}},
			})
		})
	}
}

// TestOlderProviderWithANewerServer holds that a provider that does not know a field
// cannot reset it, and otherwise works.
func TestOlderProviderWithANewerServer(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	run := terraform{configuration: rc(t, acctest.Older(t)), backend: backend}.in(t, filepath.Join("testdata", "skew", "older"))
	run.do(t, "apply", "-auto-approve")
	run.do(t, "plan", "-detailed-exitcode")

	// Somebody with a newer client lets rollbacks skip approvals.
	skips := &headracev1.OnRollback{SkipApprovals: true}
	onRollback := func() (inline, composed *headracev1.OnRollback) {
		web, err := backend.API.Pipelines.GetPipeline(t.Context(), &headracev1.GetPipelineRequest{Name: client.PipelineName("default", "web")})
		require.NoError(t, err)
		part, err := backend.API.Pipelines.GetStage(t.Context(), &headracev1.GetStageRequest{Name: client.StageName("default", "composed", "Deploy")})
		require.NoError(t, err)
		return web.GetPipeline().GetDefinition().GetStages()[1].GetOnRollback(), part.GetStage().GetOnRollback()
	}
	require.NoError(t, setOnRollback(t.Context(), backend.API, skips))
	output := run.fails(t, "apply", "-auto-approve", "-var", "branch=next")
	for object, revision := range map[string]string{
		// That it sends on_update shows its revision.
		`pipeline "web"`: "2",
		// Nothing in a stage tells the second revision from the first.
		`stage "Deploy" of pipeline "composed"`: "1",
	} {
		require.Regexp(t, `this update would clear on_rollback (of stage "Deploy" )?of `+object+`, which this client \(contract revision `+revision+
			`\) does not know; upgrade the client to contract revision 3 or later, `+
			`or use such a client to remove on_rollback first`, flat(output))
	}
	inline, composed := onRollback()
	require.True(t, proto.Equal(skips, inline), "the field stays: %v", inline)
	require.True(t, proto.Equal(skips, composed), "the field stays: %v", composed)
	require.NotContains(t, run.do(t, "plan", "-var", "branch=next"), "must be replaced", "nothing is tainted")

	require.NoError(t, setOnRollback(t.Context(), backend.API, nil))
	run.do(t, "apply", "-auto-approve", "-var", "branch=next")
	run.do(t, "plan", "-detailed-exitcode", "-var", "branch=next")
	run.do(t, "destroy", "-auto-approve")
}

// setOnRollback changes on_rollback of the stage Deploy, inline and composed.
func setOnRollback(ctx context.Context, api *client.Client, to *headracev1.OnRollback) error {
	web, err := api.Pipelines.GetPipeline(ctx, &headracev1.GetPipelineRequest{Name: client.PipelineName("default", "web")})
	if err != nil {
		return err
	}
	web.GetPipeline().GetDefinition().GetStages()[1].OnRollback = to
	if _, err := api.Pipelines.UpdatePipeline(ctx, &headracev1.UpdatePipelineRequest{Pipeline: web.GetPipeline()}); err != nil {
		return err
	}
	part, err := api.Pipelines.GetStage(ctx, &headracev1.GetStageRequest{Name: client.StageName("default", "composed", "Deploy")})
	if err != nil {
		return err
	}
	part.GetStage().OnRollback = to
	_, err = api.Pipelines.UpdateStage(ctx, &headracev1.UpdateStageRequest{Stage: part.GetStage()})
	return err
}

// flat returns an output of Terraform without the lines that it draws and breaks.
func flat(output string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(output, "│", " ")), " ")
}
