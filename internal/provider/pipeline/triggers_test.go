package pipeline_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/internal/provider/acctest"
)

// TestTriggers shows that trigger blocks of aws_codepipeline are accepted and read back as
// they are written, and that nothing is added to them.
func TestTriggers(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t, backendtest.WithGitHub("http://127.0.0.1:1"))
	_, err := backend.API.Connections.CreateConnection(t.Context(), &headracev1.CreateConnectionRequest{Connection: &headracev1.Connection{
		Name: "accounts/default/connections/forge",
		// Nothing listens there, and no ref has to be read.
		Type: &headracev1.Connection_Git{Git: &headracev1.GitConnection{Endpoint: "https://127.0.0.1:1/"}},
	}})
	require.NoError(t, err)
	git := tfjsonpath.New("trigger").AtSliceIndex(0).AtMapKey("git_configuration").AtSliceIndex(0)
	filters := func(push, pullRequest int) statecheck.StateCheck {
		return statecheck.ExpectKnownValue(address, git, knownvalue.ObjectPartial(map[string]knownvalue.Check{
			"push": knownvalue.ListSizeExact(push), "pull_request": knownvalue.ListSizeExact(pullRequest),
		}))
	}
	drop := func() {
		found, err := backend.API.Pipelines.GetPipeline(t.Context(), &headracev1.GetPipelineRequest{Name: "accounts/default/pipelines/web"})
		require.NoError(t, err)
		require.Len(t, found.GetPipeline().GetDefinition().GetTriggers(), 2, "no trigger that nobody declared")
		found.GetPipeline().GetDefinition().GetTriggers()[0].GetGitConfiguration().Push = nil
		_, err = backend.API.Pipelines.UpdatePipeline(t.Context(), &headracev1.UpdatePipelineRequest{Pipeline: found.GetPipeline()})
		require.NoError(t, err)
	}
	triggers := func(sources ...string) func(context.Context) error {
		return func(ctx context.Context) error {
			found, err := backend.API.Triggers.ListTriggers(ctx, &headracev1.ListTriggersRequest{Parent: "accounts/default/pipelines/web"})
			if err != nil {
				return err
			}
			var names []string
			for _, t := range found.GetTriggers() {
				names = append(names, t.GetGit().GetSourceAction())
			}
			if !slices.Equal(names, sources) {
				return fmt.Errorf("the server has triggers of %q, not of %q", names, sources)
			}
			return nil
		}
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: file("triggers"), ConfigStateChecks: []statecheck.StateCheck{filters(2, 2)}},
			{
				ResourceName: address, ImportState: true, ImportStateId: "web", ImportStateVerify: true,
				ImportStateVerifyIgnore: []string{"force_destroy"},
			},
			{
				PreConfig: drop, ConfigFile: file("triggers"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{filters(2, 2)},
			},
			{
				ConfigFile: file("other_triggers"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{filters(2, 1), acctest.Afterwards(triggers("Fetch", "Tools"))},
			},
			{
				ConfigFile: file("moved_triggers"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{filters(2, 2), acctest.Afterwards(triggers("Fetch", "Tools"))},
			},
			{
				// The definition does not hold what the source action detects.
				ConfigFile: file("detected"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{
					value("trigger", knownvalue.ListSizeExact(0)), acctest.Afterwards(triggers("Fetch")),
				},
			},
			{
				ResourceName: address, ImportState: true, ImportStateId: "web", ImportStateVerify: true,
				ImportStateVerifyIgnore: []string{"force_destroy"},
			},
			{
				// It is polled with its token.
				ConfigFile: file("github"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{acctest.Afterwards(triggers("Fetch"))},
			},
		},
	})
}
