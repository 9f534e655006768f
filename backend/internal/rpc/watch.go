package rpc

import (
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/pipelinepb"
)

// patchSize is where a patch is continued in the next message, in bytes. A message is
// larger if one object is.
const patchSize = 1 << 20

// watches serves WatchService.
type watches struct {
	headracev1.UnimplementedWatchServiceServer
	streams *service.Streams
}

// WatchAccount implements WatchService.
func (s *watches) WatchAccount(
	req *headracev1.WatchAccountRequest, stream grpc.ServerStreamingServer[headracev1.WatchAccountResponse],
) error {
	ctx := stream.Context()
	parent, err := named(pipeline.ParseAccountName, req.GetParent(), "parent")
	if err != nil {
		return err
	}
	account := parent.Account
	watch := service.AccountWatch{Overview: req.GetOverview()}
	for _, text := range req.GetPipelines() {
		name, err := named(pipeline.ParsePipelineName, text, "pipelines")
		if err != nil {
			return err
		}
		if name.Account != account || name.Pipeline == pipeline.AnyPipeline {
			return invalidField("must name a pipeline of the account in parent", "pipelines")
		}
		watch.Pipelines = append(watch.Pipelines, name.Pipeline)
	}
	for _, text := range req.GetExecutions() {
		name, err := named(pipeline.ParseExecutionName, text, "executions")
		if err != nil {
			return err
		}
		if name.Account != account {
			return invalidField("must name an execution of the account in parent", "executions")
		}
		watch.Executions = append(watch.Executions, name)
	}
	return s.streams.WatchAccount(ctx, caller(ctx), account, watch, func(patch *service.AccountPatch) error {
		for _, message := range patchToProto(account, patch) {
			if err := stream.Send(message); err != nil {
				return err
			}
		}
		return nil
	})
}

// patchToProto returns a patch in as many messages as its size takes.
func patchToProto(account string, patch *service.AccountPatch) []*headracev1.WatchAccountResponse {
	m := &patchWriter{size: patchSize}
	m.next()
	m.last().Snapshot = patch.Snapshot
	for _, p := range patch.Pipelines {
		summary := summaryToProto(account, p)
		m.room(summary)
		m.last().Pipelines = append(m.last().Pipelines, summary)
	}
	for _, name := range patch.DeletedPipelines {
		m.last().DeletedPipelines = append(m.last().DeletedPipelines, pipeline.PipelineName{Account: account, Pipeline: name}.String())
	}
	for _, s := range patch.States {
		state := stateToProto(pipeline.PipelineName{Account: account, Pipeline: s.Name}, s.StateView)
		m.room(state)
		m.last().States = append(m.last().States, state)
	}
	for _, e := range patch.Executions {
		m.execution(executionToProto(e))
	}
	for _, name := range patch.DeletedExecutions {
		m.last().DeletedExecutions = append(m.last().DeletedExecutions, name.String())
	}
	for i, message := range m.messages {
		message.More, message.Time = i < len(m.messages)-1, timestamp(patch.Time)
	}
	return m.messages
}

// patchWriter fills messages one after the other.
type patchWriter struct {
	// size is where a message is full, and used what the last one takes, in bytes.
	size, used int
	messages   []*headracev1.WatchAccountResponse
}

func (w *patchWriter) last() *headracev1.WatchAccountResponse { return w.messages[len(w.messages)-1] }

func (w *patchWriter) next() {
	w.messages, w.used = append(w.messages, &headracev1.WatchAccountResponse{}), 0
}

// room makes the last message one that an object fits in, if it fits in any.
func (w *patchWriter) room(object proto.Message) (fresh bool) {
	size := proto.Size(object)
	if fresh = w.used > 0 && w.used+size > w.size; fresh {
		w.next()
	}
	w.used += size
	return fresh
}

// execution writes an execution. Where its actions do not fit in one message, the next ones
// have the execution again with the others.
func (w *patchWriter) execution(e *headracev1.Execution) {
	actions := make([][]*headracev1.ActionExecution, len(e.GetStages()))
	for i, stage := range e.GetStages() {
		actions[i], stage.Actions = stage.GetActions(), nil
	}
	empty := e
	begin := func() {
		e = proto.CloneOf(empty)
		w.last().Executions = append(w.last().Executions, e)
	}
	w.room(empty)
	begin()
	for i := range actions {
		for _, a := range actions[i] {
			if w.room(a) {
				w.used += proto.Size(empty)
				begin()
			}
			e.Stages[i].Actions = append(e.Stages[i].Actions, a)
		}
	}
}

func summaryToProto(account string, s *service.PipelineSummary) *headracev1.PipelineSummary {
	name := pipeline.PipelineName{Account: account, Pipeline: s.Name}
	return &headracev1.PipelineSummary{
		Name: name.String(), PipelineVersion: s.Version, ExecutionMode: pipelinepb.ModeToProto(s.Mode),
		Stages:          each(s.Stages, stageSummaryToProto(name)),
		LatestExecution: executionSummaryToProto(name, s.Latest), LiveExecutions: int32(s.Live), OpenApprovals: int32(s.Approvals),
	}
}

// stageSummaryToProto converts the stages of that pipeline.
func stageSummaryToProto(name pipeline.PipelineName) func(service.StageSummary) *headracev1.StageSummary {
	return func(s service.StageSummary) *headracev1.StageSummary {
		p := &headracev1.StageSummary{
			Stage: s.Name, Status: pipelinepb.StatusToProto(s.Status), Execution: nameIn(name, s.ExecutionID), ExecutionNumber: s.Number,
			Since: timestamp(s.Since), WaitingExecutions: int32(s.Waiting), OpenApprovals: int32(s.Approvals),
		}
		if s.Disabled != nil {
			p.DisabledTransition = transitionToProto(s.Disabled)
		}
		return p
	}
}

// executionSummaryToProto returns an execution of that pipeline in one line, nil of nil.
func executionSummaryToProto(name pipeline.PipelineName, e *service.ExecutionSummary) *headracev1.ExecutionSummary {
	if e == nil {
		return nil
	}
	return &headracev1.ExecutionSummary{
		Name: nameIn(name, e.ID), Number: e.Number, Status: pipelinepb.StatusToProto(e.Status),
		StartTime: timestamp(e.Started), EndTime: timestamp(e.Ended),
		TriggerType: string(e.Trigger), Principal: e.Principal, RevisionId: e.Revision, RevisionSummary: e.RevisionSummary,
	}
}
