package server_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gittest"
)

// TestTriggersWarnOfRefsThatDoNotExist holds that triggers which match no branch that the
// repository has are warned of where they are written, checked, published and listed.
func TestTriggersWarnOfRefsThatDoNotExist(t *testing.T) {
	t.Parallel()
	const web, connection = "accounts/default/pipelines/web", "accounts/default/connections/git"
	host := gittest.NewHost(t)
	forge := host.HTTP()
	forge.Allow("robot", "password")
	repository := host.Repository("acme/web")
	head := repository.Commit("trunk", map[string]string{"README": "web\n"})
	repository.SetDefault("trunk")
	repository.Branch("feature/x", head)
	c := backendtest.Start(t).Admin()
	_, err := c.Connections.CreateConnection(t.Context(), &v1.CreateConnectionRequest{
		Connection:  &v1.Connection{Name: connection, Type: &v1.Connection_Git{Git: &v1.GitConnection{Endpoint: forge.Base(), Username: "robot"}}},
		Credentials: &v1.ConnectionCredentials{Password: proto.String("password")},
	})
	require.NoError(t, err)
	// matching is a definition whose trigger is on branches, or that detects changes of main.
	matching := func(branches ...string) *v1.PipelineDefinition {
		def := &v1.PipelineDefinition{PipelineType: "V2", Stages: []*v1.Stage{
			{Name: "Source", Actions: []*v1.Action{{
				Name: "Checkout", Category: "Source", Owner: "AWS", Provider: "CodeStarSourceConnection", Version: "1", RunOrder: 1,
				Configuration: map[string]string{
					"ConnectionArn": "arn:headrace:connections::default:connection/git", "FullRepositoryId": "acme/web", "BranchName": "main",
				},
				OutputArtifacts: []*v1.OutputArtifact{{Name: "src"}},
			}}},
			{Name: "Release", Actions: []*v1.Action{{Name: "Sign", Category: "Approval", Owner: "Headrace", Provider: "Manual", Version: "1", RunOrder: 1}}},
		}}
		if len(branches) > 0 {
			def.Triggers = []*v1.Trigger{{ProviderType: "CodeStarSourceConnection", GitConfiguration: &v1.GitConfiguration{
				SourceActionName: "Checkout", Push: []*v1.GitPushFilter{{Branches: &v1.GlobFilter{Includes: branches}}},
			}}}
		}
		return def
	}
	created, err := c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: &v1.Pipeline{Name: web, Definition: matching("trunk")}})
	require.NoError(t, err)
	require.Empty(t, created.GetWarnings())
	inline := &v1.GetTriggerRequest{Name: web + "/triggers/Checkout"}
	require.Eventually(t, func() bool {
		// The refs are known once a trigger that cannot match is warned of.
		checked, err := c.Pipelines.UpdatePipeline(t.Context(), &v1.UpdatePipelineRequest{
			Pipeline: &v1.Pipeline{Name: web, Definition: matching("main")}, ValidateOnly: true,
		})
		require.NoError(t, err)
		return len(checked.GetWarnings()) > 0
	}, time.Minute, 10*time.Millisecond)

	definitions := []struct {
		name     string
		branches []string
		message  string
		field    string
	}{
		{"renamed default branch", []string{"main"}, `pattern "main" matches no branch of the repository: its default branch is "trunk"`, "pipeline.definition.triggers[0].git_configuration.push[0].branches.includes[0]"},
		{"slash", []string{"feature*"}, `* does not stand for a slash, as in "feature/x"; write "feature**"`, "pipeline.definition.triggers[0].git_configuration.push[0].branches.includes[0]"},
		{"none", []string{"release/**"}, "the entry matches no branch that the repository has now", "pipeline.definition.triggers[0].git_configuration.push[0].branches"},
		{"detected", nil, `branch "main" does not exist in the repository: its default branch is "trunk"`, `pipeline.definition.stages[0].actions[0].configuration["BranchName"]`},
	}
	for _, wants := range definitions {
		name := wants.name
		warns := func(warnings []*v1.Warning) {
			t.Helper()
			require.Len(t, warnings, 1, name)
			require.Equal(t, "TRIGGER_MATCHES_NO_REF", warnings[0].GetReason(), name)
			require.Contains(t, warnings[0].GetMessage(), wants.message, name)
			require.Equal(t, wants.field, warnings[0].GetField(), name)
		}
		changed := &v1.Pipeline{Name: web, Definition: matching(wants.branches...)}
		checked, err := c.Pipelines.UpdatePipeline(t.Context(), &v1.UpdatePipelineRequest{Pipeline: changed, ValidateOnly: true})
		require.NoError(t, err)
		warns(checked.GetWarnings())
		changed.Name = "accounts/default/pipelines/other"
		fresh, err := c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: changed, ValidateOnly: true})
		require.NoError(t, err)
		warns(fresh.GetWarnings())
		changed.Name = web
		updated, err := c.Pipelines.UpdatePipeline(t.Context(), &v1.UpdatePipelineRequest{Pipeline: changed})
		require.NoError(t, err)
		warns(updated.GetWarnings())
		shown, err := c.Triggers.GetTrigger(t.Context(), inline)
		require.NoError(t, err)
		require.Len(t, shown.GetTrigger().GetWarnings(), 1, name)
	}

	declared := &v1.DeclaredTrigger{Name: "accounts/default/triggers/on-main", Pipeline: web, Source: &v1.DeclaredTrigger_Git{Git: &v1.GitTrigger{
		SourceAction: "Checkout", Push: []*v1.GitPushFilter{{Branches: &v1.GlobFilter{Includes: []string{"main"}}}},
	}}}
	for _, dry := range []bool{true, false} {
		made, err := c.Triggers.CreateTrigger(t.Context(), &v1.CreateTriggerRequest{Trigger: declared, ValidateOnly: dry})
		require.NoError(t, err)
		require.Len(t, made.GetTrigger().GetWarnings(), 1)
		require.Equal(t, "trigger.git.push[0].branches.includes[0]", made.GetTrigger().GetWarnings()[0].GetField())
	}
	listed, err := c.Triggers.ListTriggers(t.Context(), &v1.ListTriggersRequest{Parent: web})
	require.NoError(t, err)
	require.Len(t, listed.GetTriggers(), 2)
	for _, trigger := range listed.GetTriggers() {
		require.Len(t, trigger.GetWarnings(), 1, trigger.GetName())
		require.Contains(t, trigger.GetWarnings()[0].GetMessage(), "trigger "+trigger.GetName()+": ")
		require.Contains(t, trigger.GetWarnings()[0].GetMessage(), `its default branch is "trunk"`)
	}
}
