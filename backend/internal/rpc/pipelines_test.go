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

func create(t *testing.T, c *client.Client, p *v1.Pipeline) *v1.Pipeline {
	t.Helper()
	resp, err := c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: p})
	require.NoError(t, err)
	return resp.GetPipeline()
}

func get(t *testing.T, c *client.Client, name string) *v1.Pipeline {
	t.Helper()
	resp, err := c.Pipelines.GetPipeline(t.Context(), &v1.GetPipelineRequest{Name: client.PipelineName("default", name)})
	require.NoError(t, err)
	return resp.GetPipeline()
}

func TestInlinePipelineIsReadBackAsDeclaredAndPublished(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	declared := inline("default", "web")
	declared.Definition.Description = "the shop"
	created := create(t, c, declared)
	require.EqualValues(t, 1, created.GetVersion())
	require.False(t, created.GetUnpublishedChanges())
	require.True(t, proto.Equal(declared.GetDefinition(), created.GetDefinition()), "nothing is added to what was declared")
	require.True(t, proto.Equal(created, get(t, c, "web")))

	version, err := c.Pipelines.GetPipelineVersion(t.Context(), &v1.GetPipelineVersionRequest{Name: client.VersionName("default", "web", 1)})
	require.NoError(t, err)
	require.Equal(t, "admin", version.GetVersion().GetPrincipal())
	require.True(t, proto.Equal(declared.GetDefinition(), version.GetVersion().GetDefinition()))
	_, err = c.Pipelines.GetPipelineVersion(t.Context(), &v1.GetPipelineVersionRequest{Name: client.VersionName("default", "web", 2)})
	refused(t, err, codes.NotFound, pipeline.ReasonNotFound, "newest is 1")
}

func TestUpdatePublishesWhatDiffersAndNothingElse(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	p := create(t, c, inline("default", "web"))
	update := func(p *v1.Pipeline) *v1.Pipeline {
		resp, err := c.Pipelines.UpdatePipeline(t.Context(), &v1.UpdatePipelineRequest{Pipeline: p})
		require.NoError(t, err)
		return resp.GetPipeline()
	}
	require.True(t, proto.Equal(p, update(p)), "the same definition changes nothing, not even the etag")
	p.Definition.Stages[1].Actions[0].Commands = []string{"make"}
	changed := update(p)
	require.EqualValues(t, 2, changed.GetVersion())
	require.NotEqual(t, p.GetEtag(), changed.GetEtag())

	changed.Definition.Stages[1].Actions[0].Commands = []string{"true"}
	require.EqualValues(t, 3, update(changed).GetVersion(), "back to what it was is a change too")

	first, err := c.Pipelines.ListPipelineVersions(t.Context(), &v1.ListPipelineVersionsRequest{Parent: p.GetName(), PageSize: 2})
	require.NoError(t, err)
	require.Len(t, first.GetVersions(), 2)
	require.EqualValues(t, 3, first.GetVersions()[0].GetVersion())
	rest, err := c.Pipelines.ListPipelineVersions(t.Context(), &v1.ListPipelineVersionsRequest{
		Parent: p.GetName(), PageSize: 2, PageToken: first.GetNextPageToken(),
	})
	require.NoError(t, err)
	require.Len(t, rest.GetVersions(), 1)
	require.EqualValues(t, 1, rest.GetVersions()[0].GetVersion())
	require.Empty(t, rest.GetNextPageToken())
	require.Equal(t, first.GetVersions()[0].GetDigest(), rest.GetVersions()[0].GetDigest())
}

func TestOfTwoChangesOfOneStateOnlyOneIsTaken(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	p := create(t, c, inline("default", "web"))
	const writers = 8
	errs := make([]error, writers)
	var wait sync.WaitGroup
	for i := range writers {
		wait.Go(func() {
			mine := proto.CloneOf(p)
			mine.Definition.Description = fmt.Sprint("writer ", i)
			_, errs[i] = c.Pipelines.UpdatePipeline(t.Context(), &v1.UpdatePipelineRequest{Pipeline: mine})
		})
	}
	wait.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		refused(t, err, codes.Aborted, pipeline.ReasonEtagMismatch, "read it again")
	}
	require.Equal(t, 1, won)
	require.EqualValues(t, 2, get(t, c, "web").GetVersion())
	_, err := c.Pipelines.DeletePipeline(t.Context(), &v1.DeletePipelineRequest{Name: p.GetName(), Etag: p.GetEtag()})
	refused(t, err, codes.Aborted, pipeline.ReasonEtagMismatch)
}

func TestWrongDefinitionsAreNamedFieldByField(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	p := inline("default", "web")
	p.Definition.Stages[1].Actions[0].InputArtifacts = []string{"nothing"}
	p.Definition.Stages[0].Actions[0].Configuration["Barnch"] = "main"
	_, err := c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: p})
	refused(t, err, codes.InvalidArgument, pipeline.ReasonInvalidDefinition)
	require.ElementsMatch(t, []string{
		`pipeline.definition.stages[0].actions[0].configuration["Barnch"]`,
		`pipeline.definition.stages[1].actions[0].input_artifacts[0]`,
	}, fields(err))
	_, err = c.Pipelines.GetPipeline(t.Context(), &v1.GetPipelineRequest{Name: p.GetName()})
	refused(t, err, codes.NotFound, pipeline.ReasonNotFound, `pipeline "web" does not exist in account "default"`)

	valid := create(t, c, inline("default", "web"))
	p.Etag = valid.GetEtag()
	_, err = c.Pipelines.UpdatePipeline(t.Context(), &v1.UpdatePipelineRequest{Pipeline: p})
	refused(t, err, codes.InvalidArgument, pipeline.ReasonInvalidDefinition)
	require.True(t, proto.Equal(valid, get(t, c, "web")))

	_, err = c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: &v1.Pipeline{Name: "web"}})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	require.ElementsMatch(t, []string{"pipeline.name", "pipeline.definition"}, fields(err), "the contract's own rules are reported the same way")
}

func TestRequestsThatNameNothing(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	_, err := c.Pipelines.GetPipeline(t.Context(), &v1.GetPipelineRequest{Name: "pipelines/web"})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	require.Equal(t, []string{"name"}, fields(err))
	require.ErrorContains(t, err, "accounts/{account}/pipelines/{pipeline}")
	_, err = c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: inline("default", "-")})
	require.Equal(t, []string{"pipeline.name"}, fields(err))
	_, err = c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: inline("ghost", "web")})
	refused(t, err, codes.NotFound, pipeline.ReasonNotFound, "headrace account create ghost")
	_, err = c.Pipelines.ListPipelines(t.Context(), &v1.ListPipelinesRequest{Parent: "accounts/default", PageToken: "%"})
	require.Equal(t, []string{"page_token"}, fields(err))
	_, err = c.Pipelines.DeletePipeline(t.Context(), &v1.DeletePipelineRequest{Name: client.PipelineName("default", "ghost")})
	refused(t, err, codes.NotFound, pipeline.ReasonNotFound)
	_, err = c.Pipelines.UpdatePipeline(t.Context(), &v1.UpdatePipelineRequest{Pipeline: inline("default", "ghost")})
	refused(t, err, codes.NotFound, pipeline.ReasonNotFound)
}

func TestRepeatedCreateReturnsTheFirstAnswer(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	request := &v1.CreatePipelineRequest{Pipeline: inline("default", "web"), RequestId: "once"}
	first, err := c.Pipelines.CreatePipeline(t.Context(), request)
	require.NoError(t, err)
	second, err := c.Pipelines.CreatePipeline(t.Context(), request)
	require.NoError(t, err)
	require.True(t, proto.Equal(first, second))

	_, err = c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: inline("default", "web")})
	refused(t, err, codes.AlreadyExists, pipeline.ReasonAlreadyExists)
	_, err = c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: inline("default", "api"), RequestId: "once"})
	refused(t, err, codes.AlreadyExists, pipeline.ReasonAlreadyExists, "request id")
}

func TestValidateOnlyKeepsNothing(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	_, err := c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: inline("default", "web"), ValidateOnly: true})
	require.NoError(t, err)
	_, err = c.Pipelines.GetPipeline(t.Context(), &v1.GetPipelineRequest{Name: client.PipelineName("default", "web")})
	refused(t, err, codes.NotFound, pipeline.ReasonNotFound)

	p := create(t, c, inline("default", "web"))
	changed := proto.CloneOf(p)
	changed.Definition.Description = "other"
	resp, err := c.Pipelines.UpdatePipeline(t.Context(), &v1.UpdatePipelineRequest{Pipeline: changed, ValidateOnly: true})
	require.NoError(t, err)
	require.EqualValues(t, 2, resp.GetPipeline().GetVersion(), "it tells what would become of it")
	require.True(t, proto.Equal(p, get(t, c, "web")))
	_, err = c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: p, ValidateOnly: true})
	refused(t, err, codes.AlreadyExists, pipeline.ReasonAlreadyExists)
}

func TestPipelinesAreListedByPages(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	b.Account("other")
	c := b.Admin()
	var want []string
	for i := range 5 {
		name := fmt.Sprintf("p%d", i)
		want = append(want, client.PipelineName("default", name))
		create(t, c, inline("default", name))
	}
	create(t, c, inline("other", "p0"))
	var got []string
	for token := ""; ; {
		resp, err := c.Pipelines.ListPipelines(t.Context(), &v1.ListPipelinesRequest{Parent: "accounts/default", PageSize: 2, PageToken: token})
		require.NoError(t, err)
		for _, p := range resp.GetPipelines() {
			got = append(got, p.GetName())
		}
		if token = resp.GetNextPageToken(); token == "" {
			break
		}
	}
	require.Equal(t, want, got)
}

func TestDeletedPipelineIsGoneAndItsNameFree(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	p := create(t, c, inline("default", "web"))
	p.Definition.Description = "second"
	_, err := c.Pipelines.UpdatePipeline(t.Context(), &v1.UpdatePipelineRequest{Pipeline: p})
	require.NoError(t, err)
	_, err = c.Pipelines.DeletePipeline(t.Context(), &v1.DeletePipelineRequest{Name: p.GetName()})
	require.NoError(t, err)
	_, err = c.Pipelines.GetPipeline(t.Context(), &v1.GetPipelineRequest{Name: p.GetName()})
	refused(t, err, codes.NotFound, pipeline.ReasonNotFound)
	require.EqualValues(t, 1, create(t, c, inline("default", "web")).GetVersion())
}
