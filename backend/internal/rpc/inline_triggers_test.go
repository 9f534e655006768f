package rpc_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

// codeStar is a source action as aws_codepipeline has it.
func codeStar(name, repository string) *v1.Action {
	return &v1.Action{
		Name: name, Category: "Source", Owner: "AWS", Provider: "CodeStarSourceConnection", Version: "1",
		Configuration: map[string]string{
			"ConnectionArn": "arn:headrace:connections::default:connection/forge", "FullRepositoryId": repository, "BranchName": "main",
		},
		OutputArtifacts: []*v1.OutputArtifact{{Name: "source"}},
	}
}

// withForge starts a server with a connection that nobody answers.
func withForge(t *testing.T) *client.Client {
	t.Helper()
	c := backendtest.Start(t).Admin()
	_, err := c.Connections.CreateConnection(t.Context(), &v1.CreateConnectionRequest{
		Connection: &v1.Connection{
			Name: client.ConnectionName("default", "forge"), Type: &v1.Connection_Gitea{Gitea: &v1.GiteaConnection{Endpoint: "https://127.0.0.1:1"}},
		},
		Credentials: &v1.ConnectionCredentials{Token: proto.String("a token")},
	})
	require.NoError(t, err)
	return c
}

// triggers are those that start the pipeline web, by name.
func triggers(t *testing.T, c *client.Client) map[string]*v1.DeclaredTrigger {
	t.Helper()
	list, err := c.Triggers.ListTriggers(t.Context(), &v1.ListTriggersRequest{Parent: client.AccountName("default")})
	require.NoError(t, err)
	found := make(map[string]*v1.DeclaredTrigger)
	for _, declared := range list.GetTriggers() {
		require.Equal(t, client.PipelineName("default", "web"), declared.GetPipeline())
		found[declared.GetName()] = declared
	}
	return found
}

// A pipeline's triggers are those of its newest version. A pause belongs to the trigger and
// survives a publish.
func TestTriggersOfAPipelineFollowItsVersions(t *testing.T) {
	t.Parallel()
	c := withForge(t)
	p := &v1.Pipeline{
		Name: client.PipelineName("default", "web"), Composition: v1.Composition_COMPOSITION_INLINE,
		Definition: &v1.PipelineDefinition{Stages: []*v1.Stage{stage("Source", codeStar("Checkout", "acme/web")), stage("Build", commands("Compile", "true"))}},
	}
	create(t, c, p)
	checkout, fetch := client.InlineTriggerName("default", "web", "Checkout"), client.InlineTriggerName("default", "web", "Fetch")
	publish := func() map[string]*v1.DeclaredTrigger {
		t.Helper()
		_, err := c.Pipelines.UpdatePipeline(t.Context(), &v1.UpdatePipelineRequest{Pipeline: p})
		require.NoError(t, err)
		return triggers(t, c)
	}
	found := triggers(t, c)
	require.Len(t, found, 1)
	detected := found[checkout]
	require.True(t, detected.GetInline())
	require.Equal(t, []string{"main"}, detected.GetGit().GetPush()[0].GetBranches().GetIncludes())
	require.Empty(t, get(t, c, "web").GetDefinition().GetTriggers(), "a default is never written into the definition")

	_, err := c.Triggers.PauseTrigger(t.Context(), &v1.PauseTriggerRequest{Name: checkout, Reason: "freeze"})
	require.NoError(t, err)
	p.Definition.Stages[1].Actions[0].Commands = []string{"false"}
	found = publish()
	require.Equal(t, "freeze", found[checkout].GetPause().GetReason())
	require.Equal(t, detected.GetEtag(), found[checkout].GetEtag(), "another stage changes no trigger")
	source := p.Definition.Stages[0].Actions[0]
	source.Configuration["BranchName"] = "release"
	found = publish()
	require.Equal(t, []string{"release"}, found[checkout].GetGit().GetPush()[0].GetBranches().GetIncludes())
	require.Equal(t, "freeze", found[checkout].GetPause().GetReason())
	require.NotEqual(t, detected.GetEtag(), found[checkout].GetEtag())

	p.Definition.Triggers = []*v1.Trigger{{ProviderType: "CodeStarSourceConnection", GitConfiguration: &v1.GitConfiguration{
		SourceActionName: "Checkout", Push: []*v1.GitPushFilter{{Tags: &v1.GlobFilter{Includes: []string{"v*"}}}},
	}}}
	found = publish()
	require.Equal(t, []string{"v*"}, found[checkout].GetGit().GetPush()[0].GetTags().GetIncludes())
	require.Equal(t, "freeze", found[checkout].GetPause().GetReason())

	source.Name, p.Definition.Triggers[0].GitConfiguration.SourceActionName = "Fetch", "Fetch"
	found = publish()
	require.Len(t, found, 1, "the source action has another name")
	require.Nil(t, found[fetch].GetPause())

	p.Definition.Triggers = nil
	require.Equal(t, []string{"release"}, publish()[fetch].GetGit().GetPush()[0].GetBranches().GetIncludes(), "without a block the source action is watched again")
	source.Configuration["DetectChanges"] = "false"
	require.Empty(t, publish())
	delete(source.Configuration, "DetectChanges")
	require.Len(t, publish(), 1)

	_, err = c.Connections.DeleteConnection(t.Context(), &v1.DeleteConnectionRequest{Name: client.ConnectionName("default", "forge")})
	require.ErrorContains(t, err, "web")
	_, err = c.Pipelines.DeletePipeline(t.Context(), &v1.DeletePipelineRequest{Name: p.GetName()})
	require.NoError(t, err)
	require.Empty(t, triggers(t, c))
	_, err = c.Connections.DeleteConnection(t.Context(), &v1.DeleteConnectionRequest{Name: client.ConnectionName("default", "forge")})
	require.NoError(t, err, "nothing uses it any more")
}

// A composed pipeline has the triggers of what is published, not of its parts.
func TestTriggersOfAComposedPipeline(t *testing.T) {
	t.Parallel()
	c := withForge(t)
	p := create(t, c, composed("web", v1.PublishPolicy_PUBLISH_POLICY_EXPLICIT))
	publish := func() {
		t.Helper()
		_, err := c.Pipelines.PublishPipelineVersion(t.Context(), &v1.PublishPipelineVersionRequest{Name: p.GetName()})
		require.NoError(t, err)
	}
	addStage(t, c, "Source", 10)
	addStage(t, c, "Build", 20)
	addAction(t, c, "Build", commands("Compile", "true"))
	action := addAction(t, c, "Source", codeStar("Checkout", "acme/web"))
	require.Empty(t, triggers(t, c))
	publish()
	require.Len(t, triggers(t, c), 1)
	action.Action.Configuration["DetectChanges"] = "false"
	_, err := c.Pipelines.UpdateAction(t.Context(), &v1.UpdateActionRequest{Action: action})
	require.NoError(t, err)
	require.Len(t, triggers(t, c), 1)
	publish()
	require.Empty(t, triggers(t, c))
}

// A trigger that names no repository watches the one that its source action fetches, also after
// that changes.
func TestDeclaredTriggerFollowsItsSourceAction(t *testing.T) {
	t.Parallel()
	c := withForge(t)
	source := codeStar("Checkout", "acme/web")
	source.Configuration["DetectChanges"] = "false"
	p := &v1.Pipeline{
		Name: client.PipelineName("default", "web"), Composition: v1.Composition_COMPOSITION_INLINE,
		Definition: &v1.PipelineDefinition{Stages: []*v1.Stage{stage("Source", source), stage("Build", commands("Compile", "true"))}},
	}
	create(t, c, p)
	declared := client.TriggerName("default", "own")
	_, err := c.Triggers.CreateTrigger(t.Context(), &v1.CreateTriggerRequest{Trigger: &v1.DeclaredTrigger{
		Name: declared, Pipeline: p.GetName(), Source: &v1.DeclaredTrigger_Git{Git: &v1.GitTrigger{SourceAction: "Checkout"}},
	}})
	require.NoError(t, err)
	body := func(repository string) []byte {
		return []byte(`{"ref":"refs/heads/main","before":"1111111111111111111111111111111111111111","after":"2222222222222222222222222222222222222222",` +
			`"head_commit":{"id":"2222222222222222222222222222222222222222","message":"Ship it"},"repository":{"id":3,"full_name":"` + repository + `"}}`)
	}
	outcome := func(repository string) string {
		t.Helper()
		tested, err := c.Triggers.TestTrigger(t.Context(), &v1.TestTriggerRequest{Name: declared, Event: "push", Body: body(repository)})
		require.NoError(t, err)
		return tested.GetDecisions()[0].GetReason()
	}
	require.Equal(t, "MATCHED", outcome("acme/web"))
	source.Configuration["FullRepositoryId"] = "acme/api"
	_, err = c.Pipelines.UpdatePipeline(t.Context(), &v1.UpdatePipelineRequest{Pipeline: p})
	require.NoError(t, err)
	require.Equal(t, "OTHER_REPOSITORY", outcome("acme/web"))
	require.Equal(t, "MATCHED", outcome("acme/api"))
}
