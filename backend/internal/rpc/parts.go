package rpc

import (
	"context"
	"fmt"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/pipelinepb"
)

// CreateStage implements PipelineService.
func (s *pipelines) CreateStage(
	ctx context.Context, req *headracev1.CreateStageRequest,
) (*headracev1.CreateStageResponse, error) {
	part, err := stageFromProto(req.GetStage())
	if err != nil {
		return nil, err
	}
	created, err := s.parts.CreateStage(ctx, caller(ctx), part, req.GetRequestId(), req.GetValidateOnly())
	if err != nil {
		return nil, err
	}
	return &headracev1.CreateStageResponse{Stage: stageToProto(created), Warnings: each(created.Warnings, warningToProto)}, nil
}

// GetStage implements PipelineService.
func (s *pipelines) GetStage(ctx context.Context, req *headracev1.GetStageRequest) (*headracev1.GetStageResponse, error) {
	name, err := named(pipeline.ParseStageName, req.GetName(), "name")
	if err != nil {
		return nil, err
	}
	err = s.parts.ConfirmCreate(ctx, caller(ctx), service.Created{
		Account: name.Account, Method: "CreateStage", Resource: name.String(), RequestID: req.GetConfirmRequestId(),
	})
	if err != nil {
		return nil, err
	}
	part, err := s.parts.GetStage(ctx, caller(ctx), name.Account, name.Pipeline, name.Stage)
	if err != nil {
		return nil, err
	}
	return &headracev1.GetStageResponse{Stage: stageToProto(part)}, nil
}

// UpdateStage implements PipelineService.
func (s *pipelines) UpdateStage(
	ctx context.Context, req *headracev1.UpdateStageRequest,
) (*headracev1.UpdateStageResponse, error) {
	part, err := stageFromProto(req.GetStage())
	if err != nil {
		return nil, err
	}
	updated, err := s.parts.UpdateStage(ctx, caller(ctx), part, req.GetStage().GetEtag(), req.GetValidateOnly(),
		refuseClearing(ctx, req, fmt.Sprintf("stage %q of pipeline %q", part.Stage.Name, part.Pipeline), stageToProto))
	if err != nil {
		return nil, err
	}
	return &headracev1.UpdateStageResponse{Stage: stageToProto(updated), Warnings: each(updated.Warnings, warningToProto)}, nil
}

// DeleteStage implements PipelineService.
func (s *pipelines) DeleteStage(
	ctx context.Context, req *headracev1.DeleteStageRequest,
) (*headracev1.DeleteStageResponse, error) {
	name, err := named(pipeline.ParseStageName, req.GetName(), "name")
	if err != nil {
		return nil, err
	}
	warnings, err := s.parts.DeleteStage(ctx, caller(ctx), name.Account, name.Pipeline, name.Stage, req.GetEtag())
	if err != nil {
		return nil, err
	}
	return &headracev1.DeleteStageResponse{Warnings: each(warnings, warningToProto)}, nil
}

// CreateAction implements PipelineService.
func (s *pipelines) CreateAction(
	ctx context.Context, req *headracev1.CreateActionRequest,
) (*headracev1.CreateActionResponse, error) {
	part, err := actionFromProto(req.GetAction())
	if err != nil {
		return nil, err
	}
	created, err := s.parts.CreateAction(ctx, caller(ctx), part, req.GetRequestId(), req.GetValidateOnly())
	if err != nil {
		return nil, err
	}
	return &headracev1.CreateActionResponse{Action: actionToProto(created), Warnings: each(created.Warnings, warningToProto)}, nil
}

// GetAction implements PipelineService.
func (s *pipelines) GetAction(ctx context.Context, req *headracev1.GetActionRequest) (*headracev1.GetActionResponse, error) {
	name, err := named(pipeline.ParseActionName, req.GetName(), "name")
	if err != nil {
		return nil, err
	}
	err = s.parts.ConfirmCreate(ctx, caller(ctx), service.Created{
		Account: name.Account, Method: "CreateAction", Resource: name.String(), RequestID: req.GetConfirmRequestId(),
	})
	if err != nil {
		return nil, err
	}
	part, err := s.parts.GetAction(ctx, caller(ctx), name.Account, name.Pipeline, name.Stage, name.Action)
	if err != nil {
		return nil, err
	}
	return &headracev1.GetActionResponse{Action: actionToProto(part)}, nil
}

// UpdateAction implements PipelineService.
func (s *pipelines) UpdateAction(
	ctx context.Context, req *headracev1.UpdateActionRequest,
) (*headracev1.UpdateActionResponse, error) {
	part, err := actionFromProto(req.GetAction())
	if err != nil {
		return nil, err
	}
	updated, err := s.parts.UpdateAction(ctx, caller(ctx), part, req.GetAction().GetEtag(), req.GetValidateOnly(),
		refuseClearing(ctx, req, fmt.Sprintf("action %q of stage %q of pipeline %q", part.Action.Name, part.Stage, part.Pipeline), actionToProto))
	if err != nil {
		return nil, err
	}
	return &headracev1.UpdateActionResponse{Action: actionToProto(updated), Warnings: each(updated.Warnings, warningToProto)}, nil
}

// DeleteAction implements PipelineService.
func (s *pipelines) DeleteAction(
	ctx context.Context, req *headracev1.DeleteActionRequest,
) (*headracev1.DeleteActionResponse, error) {
	name, err := named(pipeline.ParseActionName, req.GetName(), "name")
	if err != nil {
		return nil, err
	}
	warnings, err := s.parts.DeleteAction(ctx, caller(ctx), name.Account, name.Pipeline, name.Stage, name.Action, req.GetEtag())
	if err != nil {
		return nil, err
	}
	return &headracev1.DeleteActionResponse{Warnings: each(warnings, warningToProto)}, nil
}

func stageFromProto(p *headracev1.PipelineStage) (service.StagePart, error) {
	name, err := named(pipeline.ParseStageName, p.GetName(), "stage", "name")
	if err != nil {
		return service.StagePart{}, err
	}
	return service.StagePart{
		Account: name.Account, Pipeline: name.Pipeline, Order: int(p.GetOrder()),
		Stage: pipelinepb.PipelineStageFromProto(name.Stage, p),
	}, nil
}

func stageToProto(part service.StagePart) *headracev1.PipelineStage {
	name := pipeline.StageName{
		PipelineName: pipeline.PipelineName{Account: part.Account, Pipeline: part.Pipeline}, Stage: part.Stage.Name,
	}
	p := pipelinepb.PipelineStageToProto(name, part.Stage)
	p.Order = int32(part.Order)
	p.Etag = part.Etag()
	return p
}

// actionFromProto takes the name of an action from its resource name. One inside
// the action may be left out, but not differ.
func actionFromProto(p *headracev1.PipelineAction) (service.ActionPart, error) {
	name, err := named(pipeline.ParseActionName, p.GetName(), "action", "name")
	if err != nil {
		return service.ActionPart{}, err
	}
	part := service.ActionPart{
		Account: name.Account, Pipeline: name.Pipeline, Stage: name.Stage, Action: pipelinepb.ActionFromProto(p.GetAction()),
	}
	if inner := part.Action.Name; inner != "" && inner != name.Action {
		return part, invalidField("it differs from the last segment of the resource name; leave it out", "action", "action", "name")
	}
	part.Action.Name = name.Action
	return part, nil
}

func actionToProto(part service.ActionPart) *headracev1.PipelineAction {
	stage := pipeline.StageName{
		PipelineName: pipeline.PipelineName{Account: part.Account, Pipeline: part.Pipeline}, Stage: part.Stage,
	}
	return &headracev1.PipelineAction{
		Name:   pipeline.ActionName{StageName: stage, Action: part.Action.Name}.String(),
		Action: pipelinepb.ActionToProto(part.Action), Etag: part.Etag(),
	}
}
