package rpc_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

func addStage(t *testing.T, c *client.Client, name string, order int32) *v1.PipelineStage {
	t.Helper()
	resp, err := c.Pipelines.CreateStage(t.Context(), &v1.CreateStageRequest{
		Stage: &v1.PipelineStage{Name: client.StageName("default", "web", name), Order: order},
	})
	require.NoError(t, err)
	return resp.GetStage()
}

func addAction(t *testing.T, c *client.Client, stage string, action *v1.Action) *v1.PipelineAction {
	t.Helper()
	resp, err := c.Pipelines.CreateAction(t.Context(), &v1.CreateActionRequest{
		Action: &v1.PipelineAction{Name: client.ActionName("default", "web", stage, action.GetName()), Action: action},
	})
	require.NoError(t, err)
	return resp.GetAction()
}

func TestComposedPipelinePublishesOnceItsPartsFit(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	p := create(t, c, composed("web", v1.PublishPolicy_PUBLISH_POLICY_AUTO))
	require.Zero(t, p.GetVersion())
	require.False(t, p.GetUnpublishedChanges(), "nothing is there to publish")
	require.Equal(t, v1.PublishPolicy_PUBLISH_POLICY_AUTO, p.GetPublish())

	// In an order that no definition has: the build before the source.
	addStage(t, c, "Build", 20)
	addAction(t, c, "Build", commands("Compile", "true"))
	p = get(t, c, "web")
	require.Zero(t, p.GetVersion())
	require.True(t, p.GetUnpublishedChanges())
	addStage(t, c, "Source", 10)
	addAction(t, c, "Source", git("Fetch"))
	p = get(t, c, "web")
	require.EqualValues(t, 1, p.GetVersion())
	require.False(t, p.GetUnpublishedChanges())
	require.Len(t, p.GetDefinition().GetStages(), 2)
	require.Equal(t, "Source", p.GetDefinition().GetStages()[0].GetName(), "stages are in their order")

	// A part that does not fit leaves the version as it is.
	lost := commands("Test", "true")
	lost.InputArtifacts = []string{"missing"}
	added := addAction(t, c, "Build", lost)
	p = get(t, c, "web")
	require.EqualValues(t, 1, p.GetVersion())
	require.True(t, p.GetUnpublishedChanges())
	_, err := c.Pipelines.PublishPipelineVersion(t.Context(), &v1.PublishPipelineVersionRequest{Name: p.GetName()})
	refused(t, err, codes.InvalidArgument, pipeline.ReasonInvalidDefinition, "missing")
	require.Equal(t, []string{"stages[1].actions[1].input_artifacts[0]"}, fields(err))

	added.Action.InputArtifacts = []string{"source"}
	updated, err := c.Pipelines.UpdateAction(t.Context(), &v1.UpdateActionRequest{Action: added})
	require.NoError(t, err)
	require.NotEqual(t, added.GetEtag(), updated.GetAction().GetEtag())
	require.EqualValues(t, 2, get(t, c, "web").GetVersion())
	_, err = c.Pipelines.DeleteAction(t.Context(), &v1.DeleteActionRequest{Name: added.GetName()})
	require.NoError(t, err)
	require.EqualValues(t, 3, get(t, c, "web").GetVersion())
}

func TestExplicitPipelinePublishesWhenTold(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	p := create(t, c, composed("web", v1.PublishPolicy_PUBLISH_POLICY_EXPLICIT))
	publish := func() (*v1.PipelineVersion, error) {
		resp, err := c.Pipelines.PublishPipelineVersion(t.Context(), &v1.PublishPipelineVersionRequest{Name: p.GetName()})
		return resp.GetVersion(), err
	}
	_, err := publish()
	refused(t, err, codes.FailedPrecondition, pipeline.ReasonNothingToPublish)
	addStage(t, c, "Source", 1)
	addAction(t, c, "Source", git("Fetch"))
	addStage(t, c, "Build", 2)
	addAction(t, c, "Build", commands("Compile", "true"))
	require.Zero(t, get(t, c, "web").GetVersion())
	version, err := publish()
	require.NoError(t, err)
	require.EqualValues(t, 1, version.GetVersion())
	again, err := publish()
	require.NoError(t, err)
	require.True(t, proto.Equal(version, again), "nothing changed since")
	unpublished := func() *v1.DiffPipelineVersionsResponse {
		resp, err := c.Pipelines.DiffPipelineVersions(t.Context(), &v1.DiffPipelineVersionsRequest{Name: p.GetName(), Unpublished: true})
		require.NoError(t, err)
		return resp
	}
	require.Empty(t, unpublished().GetChanges())

	// Settings are published with the parts.
	p = get(t, c, "web")
	p.Definition.Stages = nil
	p.Definition.Description = "changed"
	_, err = c.Pipelines.UpdatePipeline(t.Context(), &v1.UpdatePipelineRequest{Pipeline: p})
	require.NoError(t, err)
	p = get(t, c, "web")
	require.EqualValues(t, 1, p.GetVersion())
	require.True(t, p.GetUnpublishedChanges())
	diff := unpublished()
	require.EqualValues(t, 1, diff.GetFromVersion())
	require.Zero(t, diff.GetToVersion())
	require.Len(t, diff.GetChanges(), 1)
	require.Equal(t, "description", diff.GetChanges()[0].GetField())
	require.Equal(t, []string{"changed"}, diff.GetChanges()[0].GetAfter())
	_, err = c.Pipelines.DiffPipelineVersions(t.Context(), &v1.DiffPipelineVersionsRequest{Name: p.GetName(), Unpublished: true, ToVersion: 1})
	refused(t, err, codes.InvalidArgument, "", "must not be set beside unpublished")
	version, err = publish()
	require.NoError(t, err)
	require.EqualValues(t, 2, version.GetVersion())
	require.Equal(t, "changed", version.GetDefinition().GetDescription())
}

func TestPartsThatAreWrongByThemselvesAreRefused(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	create(t, c, composed("web", v1.PublishPolicy_PUBLISH_POLICY_AUTO))
	addStage(t, c, "Source", 1)
	create := func(change func(*v1.Action)) error {
		action := git("Fetch")
		change(action)
		_, err := c.Pipelines.CreateAction(t.Context(), &v1.CreateActionRequest{
			Action: &v1.PipelineAction{Name: client.ActionName("default", "web", "Source", "Fetch"), Action: action},
		})
		return err
	}
	err := create(func(a *v1.Action) { a.Configuration["Barnch"] = "x" })
	refused(t, err, codes.InvalidArgument, pipeline.ReasonInvalidDefinition)
	require.Equal(t, []string{`action.action.configuration["Barnch"]`}, fields(err))
	err = create(func(a *v1.Action) { a.RunOrder = 1000 })
	require.Equal(t, []string{"action.action.run_order"}, fields(err))
	err = create(func(a *v1.Action) { a.Name = "Other" })
	require.Equal(t, []string{"action.action.name"}, fields(err))
	err = create(func(a *v1.Action) { a.Provider = "Svn" })
	refused(t, err, codes.InvalidArgument, pipeline.ReasonInvalidDefinition, "Svn")
	require.NoError(t, create(func(a *v1.Action) { a.Name = "" }), "the resource name says it")
	err = create(func(*v1.Action) {})
	refused(t, err, codes.AlreadyExists, pipeline.ReasonAlreadyExists, "Fetch")

	_, err = c.Pipelines.CreateStage(t.Context(), &v1.CreateStageRequest{
		Stage: &v1.PipelineStage{Name: client.StageName("default", "web", "Build"), Order: 2, OnFailure: &v1.OnFailure{Result: "PANIC"}},
	})
	refused(t, err, codes.InvalidArgument, pipeline.ReasonInvalidDefinition)
	require.Contains(t, fields(err)[0], "stage.on_failure")
	_, err = c.Pipelines.CreateStage(t.Context(), &v1.CreateStageRequest{
		Stage: &v1.PipelineStage{Name: client.StageName("default", "web", "Source"), Order: 2},
	})
	refused(t, err, codes.AlreadyExists, pipeline.ReasonAlreadyExists)
}

// TestPlannedPartsAreChecked shows what a plan learns about parts, also of a pipeline that the
// apply will create, and that asking keeps nothing.
func TestPlannedPartsAreChecked(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	c := b.Admin()
	viewer := b.Client(b.Token("vera", nil, backendtest.Binding("default", v1.Role_ROLE_VIEWER)))
	foreign := commands("Lint", "true")
	foreign.Owner, foreign.Provider = "AWS", "CodeBuild"
	askAction := func(c *client.Client, action *v1.Action) error {
		_, err := c.Pipelines.CreateAction(t.Context(), &v1.CreateActionRequest{ValidateOnly: true, Action: &v1.PipelineAction{
			Name: client.ActionName("default", "web", "Source", action.GetName()), Action: action,
		}})
		return err
	}
	askStage := func(c *client.Client, provider string) error {
		_, err := c.Pipelines.CreateStage(t.Context(), &v1.CreateStageRequest{ValidateOnly: true, Stage: &v1.PipelineStage{
			Name: client.StageName("default", "web", "Deploy"), Order: 2,
			OnSuccess: &v1.Condition{Result: "FAIL", Rules: []*v1.Rule{{Name: "check", Provider: provider, Commands: []string{"true"}}}},
		}})
		return err
	}
	refuses := func() {
		err := askAction(c, foreign)
		refused(t, err, codes.InvalidArgument, pipeline.ReasonInvalidDefinition, "Build/AWS/CodeBuild/1")
		require.Equal(t, []string{"action.action.owner"}, fields(err))
		err = askStage(c, "CloudWatchAlarm")
		refused(t, err, codes.InvalidArgument, pipeline.ReasonInvalidDefinition, "CloudWatchAlarm")
		require.Equal(t, []string{"stage.on_success.rules[0].provider"}, fields(err))
		refused(t, askAction(viewer, foreign), codes.PermissionDenied, pipeline.ReasonPermissionDenied)
		refused(t, askStage(viewer, "CloudWatchAlarm"), codes.PermissionDenied, pipeline.ReasonPermissionDenied)
	}
	refuses()
	refused(t, askAction(c, commands("Lint", "true")), codes.NotFound, pipeline.ReasonNotFound)
	refused(t, askStage(c, "Commands"), codes.NotFound, pipeline.ReasonNotFound)

	create(t, c, composed("web", v1.PublishPolicy_PUBLISH_POLICY_AUTO))
	addStage(t, c, "Source", 1)
	refuses()
	require.NoError(t, askAction(c, commands("Lint", "true")))
	require.NoError(t, askStage(c, "Commands"))
	_, err := c.Pipelines.GetAction(t.Context(), &v1.GetActionRequest{Name: client.ActionName("default", "web", "Source", "Lint")})
	refused(t, err, codes.NotFound, pipeline.ReasonNotFound)
	_, err = c.Pipelines.GetStage(t.Context(), &v1.GetStageRequest{Name: client.StageName("default", "web", "Deploy")})
	refused(t, err, codes.NotFound, pipeline.ReasonNotFound)
}

func TestStageKeepsItsActionsAndLeavesLast(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	create(t, c, composed("web", v1.PublishPolicy_PUBLISH_POLICY_AUTO))
	source := addStage(t, c, "Source", 10)
	addAction(t, c, "Source", git("Fetch"))
	unchanged, err := c.Pipelines.GetStage(t.Context(), &v1.GetStageRequest{Name: source.GetName()})
	require.NoError(t, err)
	require.True(t, proto.Equal(source, unchanged.GetStage()), "an action of it is no change of a stage")

	source.Order = 30
	moved, err := c.Pipelines.UpdateStage(t.Context(), &v1.UpdateStageRequest{Stage: source})
	require.NoError(t, err)
	require.EqualValues(t, 30, moved.GetStage().GetOrder())
	_, err = c.Pipelines.UpdateStage(t.Context(), &v1.UpdateStageRequest{Stage: source})
	refused(t, err, codes.Aborted, pipeline.ReasonEtagMismatch, "read it again")
	action := client.ActionName("default", "web", "Source", "Fetch")
	_, err = c.Pipelines.GetAction(t.Context(), &v1.GetActionRequest{Name: action})
	require.NoError(t, err)

	_, err = c.Pipelines.DeleteStage(t.Context(), &v1.DeleteStageRequest{Name: source.GetName()})
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	require.ErrorContains(t, err, "delete them first")
	_, err = c.Pipelines.DeleteAction(t.Context(), &v1.DeleteActionRequest{Name: action, Etag: "old"})
	refused(t, err, codes.Aborted, pipeline.ReasonEtagMismatch)
	_, err = c.Pipelines.DeleteAction(t.Context(), &v1.DeleteActionRequest{Name: action})
	require.NoError(t, err)
	_, err = c.Pipelines.DeleteStage(t.Context(), &v1.DeleteStageRequest{Name: source.GetName()})
	require.NoError(t, err)
	_, err = c.Pipelines.GetStage(t.Context(), &v1.GetStageRequest{Name: source.GetName()})
	refused(t, err, codes.NotFound, pipeline.ReasonNotFound)
	_, err = c.Pipelines.DeleteAction(t.Context(), &v1.DeleteActionRequest{Name: action})
	refused(t, err, codes.NotFound, pipeline.ReasonNotFound)
}

func TestPartsComeTogetherFromAllSides(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	p := create(t, c, composed("web", v1.PublishPolicy_PUBLISH_POLICY_AUTO))
	addStage(t, c, "Source", 1)
	addStage(t, c, "Build", 2)
	var wait sync.WaitGroup
	errs := make([]error, 12)
	for i := range errs {
		wait.Go(func() {
			action := git("Fetch")
			stage := "Source"
			if i > 0 {
				action, stage = commands(fmt.Sprintf("Compile%d", i), "true"), "Build"
			}
			_, errs[i] = c.Pipelines.CreateAction(t.Context(), &v1.CreateActionRequest{
				Action: &v1.PipelineAction{Name: client.ActionName("default", "web", stage, action.GetName()), Action: action},
			})
		})
	}
	wait.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	now := get(t, c, "web")
	require.False(t, now.GetUnpublishedChanges())
	require.Len(t, now.GetDefinition().GetStages()[1].GetActions(), 11)
	require.Equal(t, p.GetEtag(), now.GetEtag(), "parts are no change of the pipeline's own settings")
}

func TestInlineAndComposedDoNotMix(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	create(t, c, inline("default", "web"))
	_, err := c.Pipelines.CreateStage(t.Context(), &v1.CreateStageRequest{
		Stage: &v1.PipelineStage{Name: client.StageName("default", "web", "More"), Order: 1},
	})
	refused(t, err, codes.FailedPrecondition, pipeline.ReasonCompositionMismatch, "inline")
	_, err = c.Pipelines.GetAction(t.Context(), &v1.GetActionRequest{Name: client.ActionName("default", "web", "Source", "Fetch")})
	refused(t, err, codes.FailedPrecondition, pipeline.ReasonCompositionMismatch)
	_, err = c.Pipelines.PublishPipelineVersion(t.Context(), &v1.PublishPipelineVersionRequest{Name: client.PipelineName("default", "web")})
	refused(t, err, codes.FailedPrecondition, pipeline.ReasonCompositionMismatch)
	_, err = c.Pipelines.UpdatePipeline(t.Context(), &v1.UpdatePipelineRequest{Pipeline: composed("web", 0)})
	refused(t, err, codes.FailedPrecondition, pipeline.ReasonCompositionMismatch)

	create(t, c, composed("parts", 0))
	_, err = c.Pipelines.UpdatePipeline(t.Context(), &v1.UpdatePipelineRequest{Pipeline: inline("default", "parts")})
	refused(t, err, codes.FailedPrecondition, pipeline.ReasonCompositionMismatch, "headrace_stage")
	mixed := inline("default", "mixed")
	mixed.Composition = v1.Composition_COMPOSITION_COMPOSED
	_, err = c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: mixed})
	require.Equal(t, []string{"pipeline.definition.stages"}, fields(err))
	mixed = inline("default", "mixed")
	mixed.Publish = v1.PublishPolicy_PUBLISH_POLICY_EXPLICIT
	_, err = c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: mixed})
	require.Equal(t, []string{"pipeline.publish"}, fields(err))
	bad := composed("bad", 0)
	bad.Definition.Variables = []*v1.Variable{{Name: "not a name"}}
	_, err = c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: bad})
	require.Equal(t, []string{"pipeline.definition.variables[0].name"}, fields(err), "settings are checked without stages")
}

func TestRepeatedPartIsTheFirst(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	create(t, c, composed("web", 0))
	request := &v1.CreateStageRequest{
		Stage: &v1.PipelineStage{Name: client.StageName("default", "web", "Source"), Order: 1}, RequestId: "stage",
	}
	action := &v1.CreateActionRequest{
		Action: &v1.PipelineAction{Name: client.ActionName("default", "web", "Source", "Fetch"), Action: git("Fetch")}, RequestId: "action",
	}
	for range 2 {
		_, err := c.Pipelines.CreateStage(t.Context(), request)
		require.NoError(t, err)
		_, err = c.Pipelines.CreateAction(t.Context(), action)
		require.NoError(t, err)
	}
	require.Len(t, get(t, c, "web").GetDefinition().GetStages()[0].GetActions(), 1)
}

// Two stages swap their orders one after the other, as Terraform does it: in
// between both have the same one, which publishes nothing and is no error.
func TestStagesSwapPlaces(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	create(t, c, composed("web", v1.PublishPolicy_PUBLISH_POLICY_AUTO))
	addStage(t, c, "Source", 10)
	addAction(t, c, "Source", git("Fetch"))
	for name, order := range map[string]int32{"Build": 20, "Audit": 30} {
		addStage(t, c, name, order)
		addAction(t, c, name, commands("Do", "true"))
	}
	move := func(stage string, order int32) {
		_, err := c.Pipelines.UpdateStage(t.Context(), &v1.UpdateStageRequest{
			Stage: &v1.PipelineStage{Name: client.StageName("default", "web", stage), Order: order},
		})
		require.NoError(t, err)
	}
	before := get(t, c, "web")
	move("Build", 30)
	require.Equal(t, before.GetVersion(), get(t, c, "web").GetVersion(), "nothing is published in between")
	_, err := c.Pipelines.PublishPipelineVersion(t.Context(), &v1.PublishPipelineVersionRequest{Name: before.GetName()})
	require.ErrorContains(t, err, `Stages "Audit" and "Build" have the same order 30`)
	move("Audit", 20)
	after := get(t, c, "web")
	require.Equal(t, before.GetVersion()+1, after.GetVersion())
	require.Equal(t, "Audit", after.GetDefinition().GetStages()[1].GetName())
	require.False(t, after.GetUnpublishedChanges())
}
