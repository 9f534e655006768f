package rpc_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// watchUntil reads a stream until a message is the one that is waited for.
func watchUntil(t *testing.T, c *client.Client, request *v1.WatchAccountRequest, is func(*v1.WatchAccountResponse) bool) *v1.WatchAccountResponse {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	stream, err := c.Watch.WatchAccount(ctx, request)
	require.NoError(t, err)
	for {
		m, err := stream.Recv()
		require.NoError(t, err)
		if is(m) {
			return m
		}
	}
}

// TestWatchAccountSendsWhatPeopleWrote holds that texts arrive as they are, whatever is in them.
func TestWatchAccountSendsWhatPeopleWrote(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	boss := b.Admin()
	const markup = "<script>alert(1)</script>'\"&amp;"
	const hostile = markup + "\u202e\x1b[2J\n"
	p := inline("default", "a.b@c-_d")
	p.Definition.Stages = []*v1.Stage{stage("Source", git("Fetch")), stage("Build", manual("Sign"))}
	p.Definition.ExecutionMode = v1.ExecutionMode_EXECUTION_MODE_QUEUED
	p.Definition.Variables = []*v1.Variable{{Name: "Text", DefaultValue: new(strings.Repeat(hostile, 20))}}
	_, err := boss.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: p})
	require.NoError(t, err)
	_, err = boss.Pipelines.SetStageTransition(t.Context(), &v1.SetStageTransitionRequest{Pipeline: p.GetName(), Stage: "Source", Reason: markup})
	require.NoError(t, err)
	started, err := boss.Executions.StartExecution(t.Context(), &v1.StartExecutionRequest{Pipeline: p.GetName()})
	require.NoError(t, err)
	name := started.GetExecution().GetName()
	viewing := b.Client(b.Token("ann", nil, backendtest.Binding("default", viewer)))
	m := watchUntil(t, viewing, &v1.WatchAccountRequest{
		Parent: "accounts/default", Overview: true, Pipelines: []string{p.GetName()}, Executions: []string{name},
	}, (*v1.WatchAccountResponse).GetSnapshot)
	require.Equal(t, markup, m.GetPipelines()[0].GetStages()[0].GetDisabledTransition().GetDisabledReason())
	require.Equal(t, int32(1), m.GetPipelines()[0].GetStages()[0].GetWaitingExecutions())
	require.Equal(t, name, m.GetStates()[0].GetStages()[0].GetWaiting()[0].GetExecution())
	require.Equal(t, strings.Repeat(hostile, 20), m.GetExecutions()[0].GetVariables()["Text"])
	require.WithinDuration(t, time.Now(), m.GetTime().AsTime(), time.Minute)

	explained, err := viewing.Executions.ExplainExecution(t.Context(), &v1.ExplainExecutionRequest{Name: name})
	require.NoError(t, err)
	reason := explained.GetReasons()[0]
	require.Equal(t, v1.WaitKind_WAIT_KIND_TRANSITION, reason.GetKind())
	require.Equal(t, []v1.NextStepKind{v1.NextStepKind_NEXT_STEP_KIND_ENABLE_TRANSITION}, reason.GetSteps())
	require.Equal(t, []v1.Role{deployer, admin}, reason.GetEnder().GetRoles())
	require.True(t, reason.GetEnder().GetAnyone())
	require.False(t, reason.GetEnder().GetAutomatic())
}

// TestWatchAccountRefusesOtherNames holds that a stream shows one account, and objects that
// have a name in it.
func TestWatchAccountRefusesOtherNames(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	b.Account("other")
	for _, request := range []*v1.WatchAccountRequest{
		{Parent: "accounts/default/pipelines/web"},
		{Parent: "accounts/default", Pipelines: []string{"accounts/other/pipelines/web"}},
		{Parent: "accounts/default", Pipelines: []string{"accounts/default/pipelines/-"}},
		{Parent: "accounts/default", Pipelines: []string{"web"}},
		{Parent: "accounts/default", Pipelines: []string{"accounts/default/pipelines/web", "accounts/default/pipelines/web"}},
		{Parent: "accounts/default", Executions: []string{"accounts/other/pipelines/web/executions/0193b0a0-0000-7000-8000-000000000000"}},
		{Parent: "accounts/default", Executions: make([]string, 21)},
	} {
		stream, err := b.Admin().Watch.WatchAccount(t.Context(), request)
		require.NoError(t, err)
		_, err = stream.Recv()
		require.Equal(t, codes.InvalidArgument, status.Code(err), "%v: %v", request, err)
	}
	missing, err := b.Admin().Watch.WatchAccount(t.Context(), &v1.WatchAccountRequest{Parent: "accounts/missing"})
	require.NoError(t, err)
	_, err = missing.Recv()
	refused(t, err, codes.NotFound, pipeline.ReasonNotFound, `account "missing" does not exist`)
}

// TestWatchAccountEndsWithTheToken holds that a stream ends soon after its token is revoked.
func TestWatchAccountEndsWithTheToken(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	created, err := b.Admin().Accounts.CreateToken(t.Context(), &v1.CreateTokenRequest{Token: &v1.Token{
		Principal: "ann", Bindings: []*v1.RoleBinding{backendtest.Binding("default", viewer)},
	}})
	require.NoError(t, err)
	stream, err := b.Client(created.GetSecret()).Watch.WatchAccount(t.Context(), &v1.WatchAccountRequest{Parent: "accounts/default", Overview: true})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
	_, err = b.Admin().Accounts.RevokeToken(t.Context(), &v1.RevokeTokenRequest{Name: created.GetToken().GetName()})
	require.NoError(t, err)
	for err == nil {
		_, err = stream.Recv()
	}
	require.Equal(t, codes.Unauthenticated, status.Code(err), "%v", err)
}

// TestExecutionsAreFiltered holds that each filter of a list reaches the store.
func TestExecutionsAreFiltered(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	_, err := b.Admin().Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: inline("default", "web")})
	require.NoError(t, err)
	deploying := b.Client(b.Token("dan", nil, backendtest.Binding("default", deployer)))
	web := client.PipelineName("default", "web")
	var all []*v1.Execution
	for _, c := range []*client.Client{b.Admin(), deploying} {
		started, err := c.Executions.StartExecution(t.Context(), &v1.StartExecutionRequest{Pipeline: web})
		require.NoError(t, err)
		all = append(all, started.GetExecution())
	}
	list := func(request *v1.ListExecutionsRequest) (numbers []int64) {
		request.Parent = web
		found, err := b.Admin().Executions.ListExecutions(t.Context(), request)
		require.NoError(t, err)
		for _, e := range found.GetExecutions() {
			numbers = append(numbers, e.GetNumber())
		}
		return numbers
	}
	require.Equal(t, []int64{2, 1}, list(&v1.ListExecutionsRequest{TriggerTypes: []string{"StartPipelineExecution"}}))
	require.Empty(t, list(&v1.ListExecutionsRequest{TriggerTypes: []string{"WebhookV2"}}))
	require.Equal(t, []int64{2}, list(&v1.ListExecutionsRequest{Principal: "dan"}))
	require.Equal(t, []int64{1}, list(&v1.ListExecutionsRequest{Number: 1}))
	require.Empty(t, list(&v1.ListExecutionsRequest{Revision: "abcd"}))
	require.Equal(t, []int64{2}, list(&v1.ListExecutionsRequest{StartTimeFrom: all[1].GetStartTime()}))
	require.Equal(t, []int64{1}, list(&v1.ListExecutionsRequest{StartTimeTo: all[1].GetStartTime()}))
	_, err = b.Admin().Executions.ListExecutions(t.Context(), &v1.ListExecutionsRequest{Parent: client.PipelineName("default", "-"), Number: 1})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	require.ErrorContains(t, err, "name it in parent")
	_, err = b.Admin().Executions.ListExecutions(t.Context(), &v1.ListExecutionsRequest{Parent: web, Revision: "abc"})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
}
