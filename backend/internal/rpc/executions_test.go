package rpc_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// repository makes a git repository with one file and returns its URL.
func repository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	git := func(args ...string) {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = dir
		cmd.Env = []string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1",
			"GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=ann@example.com", "GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=ann@example.com",
		}
		output, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", output)
	}
	git("init", "-q", "-b", "main")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "greeting"), []byte("hello\n"), 0o600))
	git("add", "greeting")
	git("commit", "-q", "-m", "Greet")
	return "file://" + dir
}

// release is a pipeline over a real repository, with an approval in between.
func release(t *testing.T, lines ...string) *v1.Pipeline {
	t.Helper()
	fetch := git("Fetch")
	fetch.Configuration["RepositoryUrl"] = repository(t)
	sign := manual("Sign")
	sign.Configuration = map[string]string{
		"CustomData":         "ship #{codepipeline.PipelineExecutionId}",
		"ExternalEntityLink": "https://example.com/#{codepipeline.PipelineExecutionId}",
	}
	p := inline("default", "web")
	p.Definition.Stages = []*v1.Stage{
		stage("Source", fetch), stage("Build", commands("Compile", lines...)), stage("Approve", sign),
	}
	return p
}

func start(t *testing.T, c *client.Client, name string) *v1.Execution {
	t.Helper()
	resp, err := c.Executions.StartExecution(t.Context(), &v1.StartExecutionRequest{Pipeline: client.PipelineName("default", name)})
	require.NoError(t, err)
	return resp.GetExecution()
}

// watch returns the events of an execution up to one that is asked for, or all.
func watch(t *testing.T, c *client.Client, name string, until func(*v1.Event) bool) []*v1.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stream, err := c.Executions.WatchExecution(ctx, &v1.WatchExecutionRequest{Name: name})
	require.NoError(t, err)
	var events []*v1.Event
	for {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return events
		}
		require.NoError(t, err)
		events = append(events, resp.GetEvent())
		if until(resp.GetEvent()) {
			return events
		}
	}
}

func end(*v1.Event) bool { return false }

// waits tells that an action of that name has begun.
func begun(action string) func(*v1.Event) bool {
	return func(e *v1.Event) bool { return e.GetAction() == action && e.GetState() == "STARTED" }
}

func TestExecutionFromStartToEnd(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	c := b.Admin()
	create(t, c, release(t, "cat greeting", "echo done"))
	e := start(t, c, "web")
	require.EqualValues(t, 1, e.GetNumber())
	require.Equal(t, "admin", e.GetTrigger().GetPrincipal())
	watch(t, c, e.GetName(), begun("Sign"))

	explained, err := c.Executions.ExplainExecution(t.Context(), &v1.ExplainExecutionRequest{Name: e.GetName()})
	require.NoError(t, err)
	require.Len(t, explained.GetReasons(), 1)
	require.Equal(t, v1.WaitKind_WAIT_KIND_APPROVAL, explained.GetReasons()[0].GetKind())
	shown, err := c.Executions.GetExecution(t.Context(), &v1.GetExecutionRequest{Name: e.GetName()})
	require.NoError(t, err)
	approval := explained.GetReasons()[0].GetApproval()
	require.Equal(t, "ship "+e.GetId(), approval.GetCustomData())
	require.Equal(t, "https://example.com/"+e.GetId(), approval.GetExternalEntityLink())
	require.NotEmpty(t, approval.GetId())
	require.True(t, approval.GetAnyApprover())
	stage := shown.GetExecution().GetStages()[len(shown.GetExecution().GetStages())-1]
	require.True(t, proto.Equal(approval, stage.GetActions()[0].GetApproval()), "one message in every answer")
	require.Equal(t, "Ann <ann@example.com>", shown.GetExecution().GetSourceRevisions()[0].GetAuthor())

	signer := b.Client(b.Token("bob", []string{"ops"}, backendtest.Binding("default", approver)))
	decided, err := signer.Executions.DecideApproval(t.Context(), &v1.DecideApprovalRequest{
		Name: client.ExecutionName("default", "-", e.GetId()), Approve: true, Comment: "fine",
	})
	require.NoError(t, err)
	require.Equal(t, "Approve", decided.GetStage())
	require.Equal(t, "Sign", decided.GetAction())
	require.EqualValues(t, 1, decided.GetApproval().GetRequirements()[0].GetApprovedCount())
	decision := decided.GetApproval().GetDecisions()[0]
	require.Equal(t, "bob", decision.GetPrincipal())
	require.Equal(t, "fine", decision.GetComment())
	require.EqualValues(t, 1, decision.GetPipelineVersion())

	events := watch(t, c, e.GetName(), end)
	require.True(t, slices.IsSortedFunc(events, func(a, b *v1.Event) int { return int(a.GetPosition() - b.GetPosition()) }))
	require.Equal(t, e.GetName(), events[0].GetExecution())
	require.Equal(t, "StartPipelineExecution", events[0].GetTrigger().GetType())
	require.True(t, proto.Equal(e.GetStartTime(), events[0].GetStartTime()))
	for _, event := range events {
		require.EqualValues(t, 1, event.GetPipelineVersion())
		require.NotNil(t, event.GetStartTime(), "%v", event)
		if event.GetAction() != "Compile" {
			continue
		}
		require.True(t, proto.Equal(&v1.ActionTypeId{Category: "Build", Owner: "Headrace", Provider: "Commands", Version: "1"}, event.GetActionType()))
		require.Equal(t, "source", event.GetInputArtifacts()[0].GetName())
		require.Equal(t, event.GetState() == "SUCCEEDED", event.GetExecutionResult() != nil, "%v", event)
	}
	got, err := c.Executions.GetExecution(t.Context(), &v1.GetExecutionRequest{Name: e.GetName()})
	require.NoError(t, err)
	e = got.GetExecution()
	require.Equal(t, v1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED, e.GetStatus(), "%v", e)
	require.Len(t, e.GetStages(), 3)
	require.Len(t, e.GetSourceRevisions(), 1)
	require.Equal(t, "Greet", e.GetStages()[0].GetActions()[0].GetOutputVariables()["CommitMessage"])
	require.NotNil(t, e.GetEndTime())

	compile := e.GetStages()[1].GetActions()[0]
	require.True(t, compile.GetHasLog())
	require.Contains(t, tail(t, c, e.GetName(), compile.GetId()), "hello")
	_, err = c.Executions.StopExecution(t.Context(), &v1.StopExecutionRequest{Name: e.GetName()})
	refused(t, err, codes.FailedPrecondition, pipeline.ReasonNotStoppable)
}

func tail(t *testing.T, c *client.Client, name, action string) string {
	t.Helper()
	stream, err := c.Executions.TailLog(t.Context(), &v1.TailLogRequest{Name: name, ActionExecutionId: action, Follow: true})
	require.NoError(t, err)
	var text strings.Builder
	for {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return text.String()
		}
		require.NoError(t, err)
		require.EqualValues(t, text.Len(), resp.GetOffset())
		text.Write(resp.GetData())
	}
}

// A log that is hard for viewers arrives line by line, as it was written, in responses that
// have a bound.
func TestReadLog(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	c := b.Admin()
	create(t, c, release(t,
		`printf 'zero \000 and not UTF-8 \377\n<b>\033[31mred\nstill red\033[0m\n10%%\r100%%\n'`,
		`head -c 1000000 /dev/zero | tr '\000' x; echo`,
		`yes 'a line of a long log' | head -n 100000`,
	))
	e := start(t, c, "web")
	sign := watch(t, c, e.GetName(), func(event *v1.Event) bool { return event.GetAction() == "Sign" })
	require.NotEmpty(t, sign)
	got, err := c.Executions.GetExecution(t.Context(), &v1.GetExecutionRequest{Name: e.GetName()})
	require.NoError(t, err)
	id := got.GetExecution().GetStages()[1].GetActions()[0].GetId()
	text := tail(t, c, e.GetName(), id)

	stat, err := c.Executions.StatLog(t.Context(), &v1.StatLogRequest{Name: e.GetName(), ActionExecutionId: id})
	require.NoError(t, err)
	require.True(t, proto.Equal(&v1.StatLogResponse{
		SizeBytes: int64(len(text)), LineCount: int64(strings.Count(text, "\n")), Done: true,
		HasEscapes: true, HasRewrites: true, HasZeroBytes: true, HasInvalidUtf8: true,
	}, stat), "%v", stat)
	var lines []*v1.LogLine
	for offset := int64(0); offset < stat.GetSizeBytes(); {
		page, err := c.Executions.ReadLog(t.Context(), &v1.ReadLogRequest{
			Name: e.GetName(), ActionExecutionId: id, Start: &v1.ReadLogRequest_LineNumber{LineNumber: int64(len(lines)) + 1}, MaxLines: 5000,
		})
		require.NoError(t, err)
		require.LessOrEqual(t, proto.Size(page), 257<<10)
		require.Equal(t, offset, page.GetOffset())
		require.Greater(t, page.GetNextOffset(), offset)
		lines, offset = append(lines, page.GetLines()...), page.GetNextOffset()
	}
	want := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	require.Len(t, lines, len(want))
	offset, long := int64(0), 0
	for i, line := range lines {
		require.EqualValues(t, i+1, line.GetNumber())
		require.Equal(t, offset, line.GetOffset())
		require.EqualValues(t, len(want[i]), line.GetLength())
		require.Equal(t, want[i][:min(len(want[i]), 8<<10)], string(line.GetText()))
		offset += line.GetLength() + 1
		switch {
		case strings.HasPrefix(want[i], "still red"):
			require.Equal(t, "31", line.GetSgr())
		case len(want[i]) == 1_000_000:
			long++
			require.Empty(t, line.GetSgr())
			rest, err := c.Executions.ReadLog(t.Context(), &v1.ReadLogRequest{
				Name: e.GetName(), ActionExecutionId: id, Start: &v1.ReadLogRequest_Offset{Offset: line.GetOffset() + 8192},
			})
			require.NoError(t, err)
			require.Equal(t, strings.Repeat("x", 256<<10), string(rest.GetData()))
			require.Equal(t, line.GetNumber(), rest.GetLineNumber())
		}
	}
	require.Equal(t, 1, long)
	for _, bad := range []*v1.ReadLogRequest{
		{Name: e.GetName(), ActionExecutionId: id, MaxLines: 5001}, {Name: e.GetName(), ActionExecutionId: id, MaxBytes: 256<<10 + 1},
	} {
		_, err = c.Executions.ReadLog(t.Context(), bad)
		require.Equal(t, codes.InvalidArgument, status.Code(err))
	}
}

func TestExecutionIsFoundByItsOwnPipelineOnly(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	b.Account("other")
	c := b.Admin()
	create(t, c, release(t, "true"))
	create(t, c, inline("default", "api"))
	e := start(t, c, "web")
	for _, name := range []string{
		client.ExecutionName("default", "api", e.GetId()),
		client.ExecutionName("other", "web", e.GetId()),
		client.ExecutionName("other", "-", e.GetId()),
		client.ExecutionName("default", "-", "0193b0a0-0000-7000-8000-000000000000"),
	} {
		_, err := c.Executions.GetExecution(t.Context(), &v1.GetExecutionRequest{Name: name})
		refused(t, err, codes.NotFound, pipeline.ReasonNotFound)
		_, err = c.Executions.StopExecution(t.Context(), &v1.StopExecutionRequest{Name: name})
		refused(t, err, codes.NotFound, pipeline.ReasonNotFound)
		_, err = c.Executions.DecideApproval(t.Context(), &v1.DecideApprovalRequest{Name: name})
		refused(t, err, codes.NotFound, pipeline.ReasonNotFound)
		stream, err := c.Executions.WatchExecution(t.Context(), &v1.WatchExecutionRequest{Name: name})
		require.NoError(t, err)
		_, err = stream.Recv()
		refused(t, err, codes.NotFound, pipeline.ReasonNotFound)
	}
	_, err := c.Executions.GetExecution(t.Context(), &v1.GetExecutionRequest{Name: client.ExecutionName("default", "-", e.GetId())})
	require.NoError(t, err)
}

// TestWhatHasTheWrongFormComesToNoUseCase holds for the calls that name more than
// one thing or choose a word.
func TestWhatHasTheWrongFormComesToNoUseCase(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	b.Account("other")
	c := b.Admin()
	create(t, c, release(t, "true"))
	create(t, c, inline("default", "api"))
	e := start(t, c, "web")
	for target, code := range map[string]codes.Code{
		client.ExecutionName("other", "web", e.GetId()):   codes.InvalidArgument,
		client.ExecutionName("default", "api", e.GetId()): codes.NotFound,
		"web#1": codes.InvalidArgument,
	} {
		_, err := c.Executions.RollbackStage(t.Context(), &v1.RollbackStageRequest{
			Pipeline: client.PipelineName("default", "web"), Stage: "Build", TargetExecution: target,
		})
		require.Equal(t, code, status.Code(err), "%s: %v", target, err)
	}
	_, err := c.Executions.RetryStage(t.Context(), &v1.RetryStageRequest{Name: e.GetName(), Mode: 9})
	require.Equal(t, []string{"mode"}, fields(err))
	for _, wrong := range []*v1.OverrideConditionRequest{
		{Name: e.GetName(), Stage: "Build", Condition: v1.ConditionKind_CONDITION_KIND_ON_SUCCESS},
		{Name: e.GetName(), Stage: "Build", Reason: "urgent"},
		{Name: e.GetName(), Stage: "Build", Reason: "urgent", Condition: 9},
	} {
		_, err = c.Executions.OverrideCondition(t.Context(), wrong)
		require.Equal(t, codes.InvalidArgument, status.Code(err), "%v", err)
	}
}

func TestExecutionsAreListedByPagesAndStatus(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	p := inline("default", "web")
	p.Definition.ExecutionMode = v1.ExecutionMode_EXECUTION_MODE_PARALLEL
	create(t, c, p)
	create(t, c, inline("default", "api"))
	var names []string
	for range 3 {
		e := start(t, c, "web")
		names = append([]string{e.GetName()}, names...)
		// There is no such repository, so it fails.
		watch(t, c, e.GetName(), end)
	}
	list := func(parent, token string, statuses ...v1.ExecutionStatus) *v1.ListExecutionsResponse {
		resp, err := c.Executions.ListExecutions(t.Context(), &v1.ListExecutionsRequest{
			Parent: parent, PageSize: 2, PageToken: token, Statuses: statuses,
		})
		require.NoError(t, err)
		return resp
	}
	first := list(client.PipelineName("default", "-"), "")
	require.Len(t, first.GetExecutions(), 2)
	rest := list(client.PipelineName("default", "-"), first.GetNextPageToken())
	require.Len(t, rest.GetExecutions(), 1)
	require.Empty(t, rest.GetNextPageToken())
	for i, e := range append(first.GetExecutions(), rest.GetExecutions()...) {
		require.Equal(t, names[i], e.GetName())
	}
	require.Empty(t, list(client.PipelineName("default", "api"), "").GetExecutions())
	failed := v1.ExecutionStatus_EXECUTION_STATUS_FAILED
	require.Len(t, list(client.PipelineName("default", "web"), "", failed).GetExecutions(), 2)
	require.Empty(t, list(client.PipelineName("default", "web"), "", v1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED).GetExecutions())
	_, err := c.Executions.ListExecutions(t.Context(), &v1.ListExecutionsRequest{Parent: client.PipelineName("default", "ghost")})
	refused(t, err, codes.NotFound, pipeline.ReasonNotFound)
}

func TestPipelineWithALiveExecutionIsDeletedByForceOnly(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	p := create(t, c, release(t, "true"))
	e := start(t, c, "web")
	watch(t, c, e.GetName(), begun("Sign"))
	_, err := c.Pipelines.DeletePipeline(t.Context(), &v1.DeletePipelineRequest{Name: p.GetName()})
	refused(t, err, codes.FailedPrecondition, pipeline.ReasonExecutionLive, "force")
	_, err = c.Pipelines.DeletePipeline(t.Context(), &v1.DeletePipelineRequest{Name: p.GetName(), Force: true})
	require.NoError(t, err)
	_, err = c.Executions.GetExecution(t.Context(), &v1.GetExecutionRequest{Name: e.GetName()})
	refused(t, err, codes.NotFound, pipeline.ReasonNotFound)
}

func TestStartChecksVariablesAndRepeatsByRequestID(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	p := inline("default", "web")
	p.Definition.Variables = []*v1.Variable{{Name: "color"}}
	create(t, c, p)
	request := &v1.StartExecutionRequest{Pipeline: p.GetName(), RequestId: "once"}
	_, err := c.Executions.StartExecution(t.Context(), request)
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	require.Equal(t, []string{`variables["color"]`}, fields(err))
	request.Variables = map[string]string{"color": "blue"}
	first, err := c.Executions.StartExecution(t.Context(), request)
	require.NoError(t, err)
	require.Equal(t, request.GetVariables(), first.GetExecution().GetVariables())
	second, err := c.Executions.StartExecution(t.Context(), request)
	require.NoError(t, err)
	require.Equal(t, first.GetExecution().GetName(), second.GetExecution().GetName())
	create(t, c, composed("empty", 0))
	_, err = c.Executions.StartExecution(t.Context(), &v1.StartExecutionRequest{Pipeline: client.PipelineName("default", "empty")})
	refused(t, err, codes.FailedPrecondition, pipeline.ReasonNothingToPublish)
}

func TestStreamsEndWhenTheServerStopsAndCanBeResumed(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	c := b.Admin()
	create(t, c, release(t, "true"))
	e := start(t, c, "web")
	seen := watch(t, c, e.GetName(), begun("Sign"))
	last := seen[len(seen)-1].GetPosition()
	stream, err := c.Executions.WatchExecution(t.Context(), &v1.WatchExecutionRequest{Name: e.GetName(), AfterPosition: last - 1})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
	b.Stop()
	for err == nil {
		_, err = stream.Recv()
	}
	require.Equal(t, codes.Unavailable, status.Code(err), "%v", err)

	b.Restart()
	bob := b.Client(b.Token("bob", nil, backendtest.Binding("default", approver)))
	_, err = bob.Executions.DecideApproval(t.Context(), &v1.DecideApprovalRequest{Name: e.GetName(), Approve: true})
	require.NoError(t, err, "the wait outlived the restart")
	for _, event := range watch(t, c, e.GetName(), end) {
		require.NotEqual(t, "FAILED", event.GetState())
	}
}
