package rpc

import (
	"context"
	"fmt"

	"google.golang.org/grpc"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logs"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/pipelinepb"
)

// executions serves ExecutionService.
type executions struct {
	headracev1.UnimplementedExecutionServiceServer
	use          *service.Executions
	explanations *service.Explanations
	streams      *service.Streams
	artifacts    *service.Artifacts
}

// StartExecution implements ExecutionService.
func (s *executions) StartExecution(
	ctx context.Context, req *headracev1.StartExecutionRequest,
) (*headracev1.StartExecutionResponse, error) {
	name, err := named(pipeline.ParsePipelineName, req.GetPipeline(), "pipeline")
	if err != nil {
		return nil, err
	}
	e, err := s.use.Start(ctx, caller(ctx), name.Account, name.Pipeline, service.StartInput{
		Variables: req.GetVariables(), RequestID: req.GetRequestId(),
		Overrides: each(req.GetSourceRevisions(), func(o *headracev1.SourceRevisionOverride) pipeline.Override {
			return pipeline.Override{Action: o.GetAction(), Type: o.GetRevisionType(), Value: o.GetRevisionValue()}
		}),
	})
	if err != nil {
		return nil, err
	}
	return &headracev1.StartExecutionResponse{Execution: executionToProto(e)}, nil
}

// GetExecution implements ExecutionService.
func (s *executions) GetExecution(
	ctx context.Context, req *headracev1.GetExecutionRequest,
) (*headracev1.GetExecutionResponse, error) {
	name, err := named(pipeline.ParseExecutionName, req.GetName(), "name")
	if err != nil {
		return nil, err
	}
	e, err := s.get(ctx, name)
	if err != nil {
		return nil, err
	}
	return &headracev1.GetExecutionResponse{Execution: executionToProto(e)}, nil
}

// ListExecutions implements ExecutionService.
func (s *executions) ListExecutions(
	ctx context.Context, req *headracev1.ListExecutionsRequest,
) (*headracev1.ListExecutionsResponse, error) {
	parent, err := named(pipeline.ParsePipelineName, req.GetParent(), "parent")
	if err != nil {
		return nil, err
	}
	if parent.Pipeline == pipeline.AnyPipeline {
		parent.Pipeline = ""
	}
	before, err := pageKey(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	size := pageSize(req.GetPageSize(), defaultExecutionsPage)
	query := service.ExecutionQuery{
		Pipeline: parent.Pipeline, Statuses: each(req.GetStatuses(), pipelinepb.StatusFromProto),
		Triggers:  each(req.GetTriggerTypes(), func(text string) execution.TriggerType { return execution.TriggerType(text) }),
		Principal: req.GetPrincipal(), Revision: req.GetRevision(), Number: req.GetNumber(),
		// One more than asked for tells whether there is a next page.
		Before: before, Size: size + 1,
	}
	if from := req.GetStartTimeFrom(); from != nil {
		query.From = from.AsTime()
	}
	if to := req.GetStartTimeTo(); to != nil {
		query.To = to.AsTime()
	}
	found, err := s.use.List(ctx, caller(ctx), parent.Account, query)
	if err != nil {
		return nil, err
	}
	resp := &headracev1.ListExecutionsResponse{}
	if len(found) > size {
		found = found[:size]
		resp.NextPageToken = pageToken(found[size-1].ID)
	}
	resp.Executions = each(found, executionToProto)
	return resp, nil
}

// StopExecution implements ExecutionService.
func (s *executions) StopExecution(
	ctx context.Context, req *headracev1.StopExecutionRequest,
) (*headracev1.StopExecutionResponse, error) {
	name, err := s.find(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	e, err := s.use.Stop(ctx, caller(ctx), name.Account, name.ID, req.GetAbandon(), req.GetReason())
	if err != nil {
		return nil, err
	}
	return &headracev1.StopExecutionResponse{Execution: executionToProto(e)}, nil
}

// RetryStage implements ExecutionService.
func (s *executions) RetryStage(
	ctx context.Context, req *headracev1.RetryStageRequest,
) (*headracev1.RetryStageResponse, error) {
	name, err := s.find(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	in := service.RetryInput{Stage: req.GetStage(), Mode: pipelinepb.RetryModeFromProto(req.GetMode())}
	switch in.Mode {
	case "", pipeline.RetryFailedActions, pipeline.RetryAllActions:
	default:
		return nil, invalidField("this mode is not known; use FAILED_ACTIONS or ALL_ACTIONS", "mode")
	}
	e, err := s.use.Retry(ctx, caller(ctx), name.Account, name.ID, in)
	if err != nil {
		return nil, err
	}
	return &headracev1.RetryStageResponse{Execution: executionToProto(e)}, nil
}

// RollbackStage implements ExecutionService.
func (s *executions) RollbackStage(
	ctx context.Context, req *headracev1.RollbackStageRequest,
) (*headracev1.RollbackStageResponse, error) {
	name, err := named(pipeline.ParsePipelineName, req.GetPipeline(), "pipeline")
	if err != nil {
		return nil, err
	}
	target, err := named(pipeline.ParseExecutionName, req.GetTargetExecution(), "target_execution")
	if err != nil {
		return nil, err
	}
	if target.Account != name.Account {
		return nil, invalidField("this is an execution of another account than that of the pipeline", "target_execution")
	}
	if _, err := s.get(ctx, target); err != nil {
		return nil, err
	}
	e, err := s.use.Rollback(ctx, caller(ctx), name.Account, name.Pipeline, service.RollbackInput{
		Stage: req.GetStage(), TargetID: target.ID, RequestID: req.GetRequestId(),
	})
	if err != nil {
		return nil, err
	}
	return &headracev1.RollbackStageResponse{Execution: executionToProto(e)}, nil
}

// OverrideCondition implements ExecutionService.
func (s *executions) OverrideCondition(
	ctx context.Context, req *headracev1.OverrideConditionRequest,
) (*headracev1.OverrideConditionResponse, error) {
	name, err := s.find(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	e, err := s.use.Override(ctx, caller(ctx), name.Account, name.ID, service.OverrideInput{
		Stage: req.GetStage(), Condition: pipelinepb.ConditionKindFromProto(req.GetCondition()), Reason: req.GetReason(),
	})
	if err != nil {
		return nil, err
	}
	return &headracev1.OverrideConditionResponse{Execution: executionToProto(e)}, nil
}

// DecideApproval implements ExecutionService.
func (s *executions) DecideApproval(
	ctx context.Context, req *headracev1.DecideApprovalRequest,
) (*headracev1.DecideApprovalResponse, error) {
	name, err := s.find(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	decided, err := s.use.Decide(ctx, caller(ctx), name.Account, name.ID, service.Decision{
		Stage: req.GetStage(), Action: req.GetAction(), ApprovalID: req.GetApprovalId(),
		Approve: req.GetApprove(), Comment: req.GetComment(),
	})
	if err != nil {
		return nil, err
	}
	resp := &headracev1.DecideApprovalResponse{Execution: executionToProto(decided.Execution)}
	if decided.Stage != nil {
		resp.Stage, resp.Approval = decided.Stage.Name, approvalToProto(decided)
	}
	if decided.Action != nil {
		resp.Action = decided.Action.Name
	}
	return resp, nil
}

// ExplainExecution implements ExecutionService.
func (s *executions) ExplainExecution(
	ctx context.Context, req *headracev1.ExplainExecutionRequest,
) (*headracev1.ExplainExecutionResponse, error) {
	name, err := s.find(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	explained, err := s.explanations.Explain(ctx, caller(ctx), name.Account, name.ID)
	if err != nil {
		return nil, err
	}
	var changes []service.SourceChange
	if req.GetChanges() {
		if changes, err = s.explanations.Changes(ctx, caller(ctx), name.Account, name.ID); err != nil {
			return nil, err
		}
	}
	return &headracev1.ExplainExecutionResponse{
		Changes: each(changes, sourceChangeToProto),
		Status:  pipelinepb.StatusToProto(explained.Status), Summary: explained.Summary,
		Reasons:   each(explained.Reasons, waitToProto(name.PipelineName)),
		NextSteps: each(explained.Steps, stepToProto(name.PipelineName)),
		Refusals:  each(explained.Refusals, stepRefusalToProto),
		Notes:     explained.Notes,
	}, nil
}

// WatchExecution implements ExecutionService.
func (s *executions) WatchExecution(
	req *headracev1.WatchExecutionRequest, stream grpc.ServerStreamingServer[headracev1.WatchExecutionResponse],
) error {
	ctx := stream.Context()
	name, err := named(pipeline.ParseExecutionName, req.GetName(), "name")
	if err != nil {
		return err
	}
	// The events carry the full name, also where the caller knew only the id.
	e, err := s.get(ctx, name)
	if err != nil {
		return err
	}
	full := nameOf(e)
	return s.streams.WatchDetailed(ctx, caller(ctx), name.Account, name.ID, req.GetAfterPosition(), func(event service.EventDetail) error {
		return stream.Send(&headracev1.WatchExecutionResponse{Event: eventToProto(full, event)})
	})
}

// TailLog implements ExecutionService.
func (s *executions) TailLog(
	req *headracev1.TailLogRequest, stream grpc.ServerStreamingServer[headracev1.TailLogResponse],
) error {
	ctx := stream.Context()
	name, err := s.find(ctx, req.GetName())
	if err != nil {
		return err
	}
	tail := service.LogTail{Offset: req.GetOffset(), Lines: int(req.GetTailLines()), Follow: req.GetFollow()}
	return s.streams.TailLog(ctx, caller(ctx), name.Account, name.ID, req.GetActionExecutionId(), tail,
		func(offset int64, data []byte) error {
			return stream.Send(&headracev1.TailLogResponse{Offset: offset, Data: data})
		})
}

// StatLog implements ExecutionService.
func (s *executions) StatLog(ctx context.Context, req *headracev1.StatLogRequest) (*headracev1.StatLogResponse, error) {
	name, err := s.find(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	stat, done, err := s.streams.StatLog(ctx, caller(ctx), name.Account, name.ID, req.GetActionExecutionId())
	if err != nil {
		return nil, err
	}
	return &headracev1.StatLogResponse{
		SizeBytes: stat.Size, LineCount: stat.Lines, Done: done,
		HasEscapes: stat.Traits&logs.Escapes != 0, HasRewrites: stat.Traits&logs.Rewrites != 0,
		HasZeroBytes: stat.Traits&logs.Zeros != 0, HasInvalidUtf8: stat.Traits&logs.NotUTF8 != 0,
	}, nil
}

// Sizes of a part of a log where the request names none.
const (
	defaultLogLines = 1000
	defaultLogBytes = 256 << 10
)

// ReadLog implements ExecutionService.
func (s *executions) ReadLog(ctx context.Context, req *headracev1.ReadLogRequest) (*headracev1.ReadLogResponse, error) {
	name, err := s.find(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	size := pageSize(req.GetMaxBytes(), defaultLogBytes)
	read := service.LogRead{Line: req.GetLineNumber(), Lines: pageSize(req.GetMaxLines(), defaultLogLines), Bytes: size}
	if _, ok := req.GetStart().(*headracev1.ReadLogRequest_Offset); ok {
		read = service.LogRead{Offset: req.GetOffset(), Bytes: size}
	}
	part, err := s.streams.ReadLog(ctx, caller(ctx), name.Account, name.ID, req.GetActionExecutionId(), read)
	if err != nil {
		return nil, err
	}
	return &headracev1.ReadLogResponse{
		Lines: each(part.Lines, logLineToProto), Data: part.Data,
		Offset: part.Begin.Offset, LineNumber: part.Begin.Line, Sgr: part.Begin.SGR, WriteTime: timestamp(part.Begin.Written),
		NextOffset: part.End, SizeBytes: part.Size,
	}, nil
}

func logLineToProto(l logs.Line) *headracev1.LogLine {
	return &headracev1.LogLine{Number: l.Line, Offset: l.Offset, Length: l.Length, Text: l.Text, Sgr: l.SGR}
}

// SearchLogs implements ExecutionService.
func (s *executions) SearchLogs(
	req *headracev1.SearchLogsRequest, stream grpc.ServerStreamingServer[headracev1.SearchLogsResponse],
) error {
	ctx := stream.Context()
	account, search, err := s.logSearch(ctx, req)
	if err != nil {
		return err
	}
	done, err := s.streams.SearchLogs(ctx, caller(ctx), account, search, func(place service.LogPlace, match logs.Match) error {
		return stream.Send(&headracev1.SearchLogsResponse{Result: &headracev1.SearchLogsResponse_Match{Match: logMatchToProto(place, match)}})
	})
	if err != nil {
		return err
	}
	return stream.Send(&headracev1.SearchLogsResponse{Result: &headracev1.SearchLogsResponse_Summary{Summary: &headracev1.LogSearchSummary{
		SearchedBytes: done.Bytes, SearchedLogs: done.Logs, MatchCount: done.Matches, Incomplete: done.Incomplete,
	}}})
}

// Sizes of a search where the request names none.
const (
	defaultSearchExecutions = 10
	defaultSearchMatches    = 1000
)

// logSearch reads a request.
func (s *executions) logSearch(ctx context.Context, req *headracev1.SearchLogsRequest) (account string, search service.LogSearch, err error) {
	search = service.LogSearch{
		ActionExecutionID: req.GetActionExecutionId(), Around: int(req.GetContextLines()),
		Executions: pageSize(req.GetMaxExecutions(), defaultSearchExecutions), Matches: pageSize(req.GetMaxMatches(), defaultSearchMatches),
	}
	if of, err := pipeline.ParsePipelineName(req.GetParent()); err == nil {
		account, search.Pipeline = of.Account, of.Pipeline
		if search.ActionExecutionID != "" {
			return "", search, invalidField("an action execution belongs to one execution; name that in parent", "action_execution_id")
		}
	} else {
		name, err := named(pipeline.ParseExecutionName, req.GetParent(), "parent")
		if err != nil {
			return "", search, invalidField("it is neither accounts/{account}/pipelines/{pipeline} nor the name of an execution below that", "parent")
		}
		found, err := s.find(ctx, req.GetParent())
		if err != nil {
			return "", search, err
		}
		account, search.ExecutionID = name.Account, found.ID
	}
	search.Pattern, err = logs.NewPattern(req.GetPattern(), logs.Options{
		Expression: req.GetRegularExpression(), IgnoreCase: req.GetIgnoreCase(), WholeWord: req.GetWholeWord(), Invert: req.GetInvert(),
	})
	if err != nil {
		return "", search, invalidField(err.Error(), "pattern")
	}
	return account, search, nil
}

func logMatchToProto(place service.LogPlace, match logs.Match) *headracev1.LogMatch {
	return &headracev1.LogMatch{
		Execution: nameOf(place.Execution).String(), ExecutionNumber: place.Execution.Number,
		Stage: place.Stage, Action: place.Action, Condition: pipelinepb.ConditionKindToProto(place.Condition), Rule: place.Rule,
		ActionExecutionId: place.ActionExecutionID, LineNumber: match.Line, Offset: match.Offset,
		Line: match.Text, LineTruncated: match.Cut, LinesBefore: match.Before, LinesAfter: match.After,
	}
}

// get returns the execution of that name. An id under the name of another
// pipeline names nothing.
func (s *executions) get(ctx context.Context, name pipeline.ExecutionName) (*execution.Execution, error) {
	e, err := s.use.Get(ctx, caller(ctx), name.Account, name.ID)
	if err != nil {
		return nil, err
	}
	if name.Pipeline != pipeline.AnyPipeline && name.Pipeline != e.Pipeline {
		return nil, &service.Error{
			Kind: service.KindNotFound, Reason: pipeline.ReasonNotFound,
			Message: fmt.Sprintf("pipeline %q of account %q has no execution %q", name.Pipeline, name.Account, name.ID),
		}
	}
	return e, nil
}

// find reads a name and checks that the pipeline in it is the execution's.
func (s *executions) find(ctx context.Context, text string) (pipeline.ExecutionName, error) {
	name, err := named(pipeline.ParseExecutionName, text, "name")
	if err != nil {
		return name, err
	}
	e, err := s.get(ctx, name)
	if err != nil {
		return name, err
	}
	return nameOf(e), nil
}
