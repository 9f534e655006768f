package rpc

import (
	"context"
	"fmt"
	"strconv"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/pipelinepb"
)

// pipelines serves PipelineService.
type pipelines struct {
	headracev1.UnimplementedPipelineServiceServer
	use      *service.Pipelines
	parts    *service.Parts
	versions *service.Versions
	stages   *service.Stages
}

// CreatePipeline implements PipelineService.
func (s *pipelines) CreatePipeline(
	ctx context.Context, req *headracev1.CreatePipelineRequest,
) (*headracev1.CreatePipelineResponse, error) {
	in, err := pipelineFromProto(req.GetPipeline())
	if err != nil {
		return nil, err
	}
	in.RequestID, in.ValidateOnly = req.GetRequestId(), req.GetValidateOnly()
	view, err := s.use.Create(ctx, caller(ctx), in)
	if err != nil {
		return nil, err
	}
	return &headracev1.CreatePipelineResponse{Pipeline: pipelineToProto(view), Warnings: each(view.Warnings, warningToProto)}, nil
}

// GetPipeline implements PipelineService.
func (s *pipelines) GetPipeline(
	ctx context.Context, req *headracev1.GetPipelineRequest,
) (*headracev1.GetPipelineResponse, error) {
	name, err := named(pipeline.ParsePipelineName, req.GetName(), "name")
	if err != nil {
		return nil, err
	}
	err = s.use.ConfirmCreate(ctx, caller(ctx), service.Created{
		Account: name.Account, Method: "CreatePipeline", Resource: name.String(), RequestID: req.GetConfirmRequestId(),
	})
	if err != nil {
		return nil, err
	}
	view, err := s.use.Get(ctx, caller(ctx), name.Account, name.Pipeline)
	if err != nil {
		return nil, err
	}
	return &headracev1.GetPipelineResponse{Pipeline: pipelineToProto(view)}, nil
}

// ListPipelines implements PipelineService.
func (s *pipelines) ListPipelines(
	ctx context.Context, req *headracev1.ListPipelinesRequest,
) (*headracev1.ListPipelinesResponse, error) {
	parent, err := named(pipeline.ParseAccountName, req.GetParent(), "parent")
	if err != nil {
		return nil, err
	}
	after, err := pageKey(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	views, next, err := s.use.List(ctx, caller(ctx), parent.Account, after, pageSize(req.GetPageSize(), defaultPage))
	if err != nil {
		return nil, err
	}
	return &headracev1.ListPipelinesResponse{Pipelines: each(views, pipelineToProto), NextPageToken: pageToken(next)}, nil
}

// UpdatePipeline implements PipelineService.
func (s *pipelines) UpdatePipeline(
	ctx context.Context, req *headracev1.UpdatePipelineRequest,
) (*headracev1.UpdatePipelineResponse, error) {
	in, err := pipelineFromProto(req.GetPipeline())
	if err != nil {
		return nil, err
	}
	in.Etag, in.ValidateOnly = req.GetPipeline().GetEtag(), req.GetValidateOnly()
	in.Check = refuseClearing(ctx, req, fmt.Sprintf("pipeline %q", in.Name), pipelineToProto)
	view, err := s.use.Update(ctx, caller(ctx), in)
	if err != nil {
		return nil, err
	}
	return &headracev1.UpdatePipelineResponse{Pipeline: pipelineToProto(view), Warnings: each(view.Warnings, warningToProto)}, nil
}

// DeletePipeline implements PipelineService.
func (s *pipelines) DeletePipeline(
	ctx context.Context, req *headracev1.DeletePipelineRequest,
) (*headracev1.DeletePipelineResponse, error) {
	name, err := named(pipeline.ParsePipelineName, req.GetName(), "name")
	if err != nil {
		return nil, err
	}
	warnings, err := s.use.Delete(ctx, caller(ctx), name.Account, name.Pipeline, req.GetEtag(), req.GetForce())
	if err != nil {
		return nil, err
	}
	return &headracev1.DeletePipelineResponse{Warnings: each(warnings, warningToProto)}, nil
}

// PublishPipelineVersion implements PipelineService.
func (s *pipelines) PublishPipelineVersion(
	ctx context.Context, req *headracev1.PublishPipelineVersionRequest,
) (*headracev1.PublishPipelineVersionResponse, error) {
	name, err := named(pipeline.ParsePipelineName, req.GetName(), "name")
	if err != nil {
		return nil, err
	}
	version, warnings, err := s.versions.Publish(ctx, caller(ctx), name.Account, name.Pipeline)
	if err != nil {
		return nil, err
	}
	return &headracev1.PublishPipelineVersionResponse{
		Version: versionToProto(name, version), Warnings: each(warnings, warningToProto),
	}, nil
}

// GetPipelineVersion implements PipelineService.
func (s *pipelines) GetPipelineVersion(
	ctx context.Context, req *headracev1.GetPipelineVersionRequest,
) (*headracev1.GetPipelineVersionResponse, error) {
	name, err := named(pipeline.ParseVersionName, req.GetName(), "name")
	if err != nil {
		return nil, err
	}
	version, err := s.versions.Get(ctx, caller(ctx), name.Account, name.Pipeline, name.Version)
	if err != nil {
		return nil, err
	}
	return &headracev1.GetPipelineVersionResponse{Version: versionToProto(name.PipelineName, version)}, nil
}

// ListPipelineVersions implements PipelineService.
func (s *pipelines) ListPipelineVersions(
	ctx context.Context, req *headracev1.ListPipelineVersionsRequest,
) (*headracev1.ListPipelineVersionsResponse, error) {
	parent, err := named(pipeline.ParsePipelineName, req.GetParent(), "parent")
	if err != nil {
		return nil, err
	}
	before, err := pageNumber(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	size := pageSize(req.GetPageSize(), defaultPage)
	versions, next, err := s.versions.List(ctx, caller(ctx), parent.Account, parent.Pipeline, before, size)
	if err != nil {
		return nil, err
	}
	resp := &headracev1.ListPipelineVersionsResponse{
		Versions: each(versions, func(v definition.Version) *headracev1.PipelineVersion { return versionToProto(parent, v) }),
	}
	if next > 0 {
		resp.NextPageToken = pageToken(strconv.FormatInt(next, 10))
	}
	return resp, nil
}

// DiffPipelineVersions implements PipelineService.
func (s *pipelines) DiffPipelineVersions(
	ctx context.Context, req *headracev1.DiffPipelineVersionsRequest,
) (*headracev1.DiffPipelineVersionsResponse, error) {
	name, err := named(pipeline.ParsePipelineName, req.GetName(), "name")
	if err != nil {
		return nil, err
	}
	diff, err := s.versions.Diff(ctx, caller(ctx), name.Account, name.Pipeline, service.DiffOf{
		From: req.GetFromVersion(), To: req.GetToVersion(), Unpublished: req.GetUnpublished(),
	})
	if err != nil {
		return nil, err
	}
	return &headracev1.DiffPipelineVersionsResponse{
		FromVersion: diff.Of.From, ToVersion: diff.Of.To, Unpublished: diff.Of.Unpublished, Changes: each(diff.Changes, changeToProto),
	}, nil
}

func changeToProto(c pipeline.Change) *headracev1.DefinitionChange {
	return &headracev1.DefinitionChange{
		Kind: changeKindEnum.ToProto(c.Kind), Block: c.Block, Stage: c.Stage, Action: c.Action, Field: c.Field, Before: c.Before, After: c.After,
	}
}

// GetPipelineState implements PipelineService.
func (s *pipelines) GetPipelineState(
	ctx context.Context, req *headracev1.GetPipelineStateRequest,
) (*headracev1.GetPipelineStateResponse, error) {
	name, err := named(pipeline.ParsePipelineName, req.GetName(), "name")
	if err != nil {
		return nil, err
	}
	state, err := s.stages.State(ctx, caller(ctx), name.Account, name.Pipeline)
	if err != nil {
		return nil, err
	}
	return &headracev1.GetPipelineStateResponse{State: stateToProto(name, state)}, nil
}

func stateToProto(name pipeline.PipelineName, state service.StateView) *headracev1.PipelineState {
	return &headracev1.PipelineState{
		Name: name.String(), PipelineVersion: state.Version, ExecutionMode: pipelinepb.ModeToProto(state.Mode),
		Stages: each(state.Stages, stageStateToProto(name)),
	}
}

// SetStageTransition implements PipelineService.
func (s *pipelines) SetStageTransition(
	ctx context.Context, req *headracev1.SetStageTransitionRequest,
) (*headracev1.SetStageTransitionResponse, error) {
	name, err := named(pipeline.ParsePipelineName, req.GetPipeline(), "pipeline")
	if err != nil {
		return nil, err
	}
	stage, err := s.stages.SetTransition(ctx, caller(ctx), name.Account, name.Pipeline, service.TransitionInput{
		Stage: req.GetStage(), Enabled: req.GetEnabled(), Reason: req.GetReason(),
	})
	if err != nil {
		return nil, err
	}
	return &headracev1.SetStageTransitionResponse{Stage: stageStateToProto(name)(stage)}, nil
}

// stageStateToProto converts what happens in the stages of that pipeline.
func stageStateToProto(name pipeline.PipelineName) func(service.StageView) *headracev1.StageState {
	return func(v service.StageView) *headracev1.StageState {
		p := &headracev1.StageState{
			Stage: v.Name, Transition: transitionToProto(v.Transition),
			InboundExecutions: each(v.Waiting, func(o service.Occupant) string { return nameIn(name, o.ID) }),
			LatestExecution:   nameIn(name, v.Latest), LatestSucceededExecution: nameIn(name, v.Succeeded),
			Waiting: each(v.Waiting, occupantToProto(name)), Gates: each(v.Gates, gateToProto(name)),
		}
		if v.Holder != nil {
			p.CurrentExecution, p.Holder = nameIn(name, v.Holder.ID), occupantToProto(name)(*v.Holder)
		}
		return p
	}
}

// occupantToProto converts executions of that pipeline.
func occupantToProto(name pipeline.PipelineName) func(service.Occupant) *headracev1.StageOccupant {
	return func(o service.Occupant) *headracev1.StageOccupant {
		return &headracev1.StageOccupant{
			Execution: nameIn(name, o.ID), Number: o.Number, Since: timestamp(o.Since), TriggerType: string(o.Trigger), Principal: o.Principal,
			RevisionId: o.Revision, RevisionSummary: o.RevisionSummary, Stopping: o.Stopping,
		}
	}
}

// gateToProto converts gates of stages of that pipeline.
func gateToProto(name pipeline.PipelineName) func(service.GateView) *headracev1.StageGate {
	return func(g service.GateView) *headracev1.StageGate {
		p := &headracev1.StageGate{
			Kind: gateKindEnum.ToProto(g.Kind), Action: g.Action, Rule: g.Rule,
			Approvals: each(g.Approvals, func(a service.GateApproval) *headracev1.StageGateApproval {
				return &headracev1.StageGateApproval{Rule: a.Rule, MinimumCount: int32(a.Minimum), ApprovedCount: int32(a.Approved)}
			}),
			Execution: nameIn(name, g.ExecutionID), ExecutionNumber: g.Number, Since: timestamp(g.Since), Until: timestamp(g.Until),
			Message: g.Message, ApprovalId: g.ApprovalID,
		}
		if g.Condition != "" {
			p.Condition = g.Condition.Argument()
		}
		if g.ExecutionID != "" {
			p.Ender = enderToProto(name, g.Ender)
		}
		return p
	}
}

func pipelineFromProto(p *headracev1.Pipeline) (service.PipelineInput, error) {
	name, err := named(pipeline.ParsePipelineName, p.GetName(), "pipeline", "name")
	if err != nil {
		return service.PipelineInput{}, err
	}
	in := service.PipelineInput{Account: name.Account, Name: name.Pipeline, Definition: *pipelinepb.FromProto(p.GetDefinition())}
	var known bool
	if in.Composition, known = compositionEnum.FromProto(p.GetComposition()); !known {
		return in, invalidField("this composition is not known; use INLINE or COMPOSED", "pipeline", "composition")
	}
	if in.Publish, known = publishEnum.FromProto(p.GetPublish()); !known {
		return in, invalidField("this publish policy is not known; use AUTO or EXPLICIT", "pipeline", "publish")
	}
	return in, nil
}

func pipelineToProto(v service.PipelineView) *headracev1.Pipeline {
	composition, publish := service.Inline, service.Publish("")
	if v.Composed {
		composition, publish = service.Composed, service.PublishAuto
		if v.Explicit {
			publish = service.PublishExplicit
		}
	}
	return &headracev1.Pipeline{
		Name:        pipeline.PipelineName{Account: v.Account, Pipeline: v.Name}.String(),
		Definition:  pipelinepb.ToProto(v.Declared()),
		Composition: compositionEnum.ToProto(composition), Publish: publishEnum.ToProto(publish),
		Version: v.Version, UnpublishedChanges: v.Unpublished, Etag: v.Etag(),
		CreateTime: timestamp(v.CreatedAt), UpdateTime: timestamp(v.UpdatedAt), Uid: v.ID,
	}
}

func versionToProto(name pipeline.PipelineName, v definition.Version) *headracev1.PipelineVersion {
	return &headracev1.PipelineVersion{
		Name:    pipeline.VersionName{PipelineName: name, Version: v.Version}.String(),
		Version: v.Version, Definition: pipelinepb.ToProto(&v.Definition), Principal: v.Principal,
		CreateTime: timestamp(v.CreatedAt), Digest: v.Digest,
	}
}
