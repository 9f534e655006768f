package provider_test

import (
	"context"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/config"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/internal/provider/acctest"
)

// TestChangeRightAfterAWrite changes every object as soon as the provider wrote it.
// The apply ends with what it wrote, and the next plan shows the change as drift.
func TestChangeRightAfterAWrite(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	api := *backend.API
	api.Pipelines = changedPipelines{api.Pipelines}
	api.ApprovalRules = changedRules{api.ApprovalRules}
	everything := func(generation int, api *client.Client, drifts bool) resource.TestStep {
		return resource.TestStep{
			ProtoV6ProviderFactories: acctest.ProviderOf(api),

			ConfigFile:         config.StaticFile("testdata/everything.tf"),
			ConfigVariables:    config.Variables{"generation": config.IntegerVariable(generation)},
			ExpectNonEmptyPlan: drifts,
		}
	}
	resource.Test(t, resource.TestCase{Steps: []resource.TestStep{
		everything(1, &api, true), everything(2, &api, true), everything(2, backend.API, false),
	}})
}

// changedPipelines changes every object right after it was written, as another client may.
type changedPipelines struct {
	headracev1.PipelineServiceClient
}

// after makes a change when a write was done, and returns the answer of the write.
func after[Answer any](answer Answer, err error, change func() error) (Answer, error) {
	if err == nil {
		err = change()
	}
	return answer, err
}

// CreatePipeline is followed by a change.
func (h changedPipelines) CreatePipeline(
	ctx context.Context, in *headracev1.CreatePipelineRequest, options ...grpc.CallOption,
) (*headracev1.CreatePipelineResponse, error) {
	answer, err := h.PipelineServiceClient.CreatePipeline(ctx, in, options...)
	return after(answer, err, func() error { return h.describe(ctx, in.GetPipeline()) })
}

// UpdatePipeline is followed by a change.
func (h changedPipelines) UpdatePipeline(
	ctx context.Context, in *headracev1.UpdatePipelineRequest, options ...grpc.CallOption,
) (*headracev1.UpdatePipelineResponse, error) {
	answer, err := h.PipelineServiceClient.UpdatePipeline(ctx, in, options...)
	return after(answer, err, func() error { return h.describe(ctx, in.GetPipeline()) })
}

func (h changedPipelines) describe(ctx context.Context, pipeline *headracev1.Pipeline) error {
	changed := proto.CloneOf(pipeline)
	changed.Etag = ""
	changed.Definition.Description = "Changed by somebody else"
	_, err := h.PipelineServiceClient.UpdatePipeline(ctx, &headracev1.UpdatePipelineRequest{Pipeline: changed})
	return err
}

// CreateStage is followed by a change.
func (h changedPipelines) CreateStage(
	ctx context.Context, in *headracev1.CreateStageRequest, options ...grpc.CallOption,
) (*headracev1.CreateStageResponse, error) {
	answer, err := h.PipelineServiceClient.CreateStage(ctx, in, options...)
	return after(answer, err, func() error { return h.move(ctx, in.GetStage()) })
}

// UpdateStage is followed by a change.
func (h changedPipelines) UpdateStage(
	ctx context.Context, in *headracev1.UpdateStageRequest, options ...grpc.CallOption,
) (*headracev1.UpdateStageResponse, error) {
	answer, err := h.PipelineServiceClient.UpdateStage(ctx, in, options...)
	return after(answer, err, func() error { return h.move(ctx, in.GetStage()) })
}

func (h changedPipelines) move(ctx context.Context, stage *headracev1.PipelineStage) error {
	changed := proto.CloneOf(stage)
	changed.Etag = ""
	changed.Order++
	_, err := h.PipelineServiceClient.UpdateStage(ctx, &headracev1.UpdateStageRequest{Stage: changed})
	return err
}

// CreateAction is followed by a change.
func (h changedPipelines) CreateAction(
	ctx context.Context, in *headracev1.CreateActionRequest, options ...grpc.CallOption,
) (*headracev1.CreateActionResponse, error) {
	answer, err := h.PipelineServiceClient.CreateAction(ctx, in, options...)
	return after(answer, err, func() error { return h.redirect(ctx, in.GetAction()) })
}

// UpdateAction is followed by a change.
func (h changedPipelines) UpdateAction(
	ctx context.Context, in *headracev1.UpdateActionRequest, options ...grpc.CallOption,
) (*headracev1.UpdateActionResponse, error) {
	answer, err := h.PipelineServiceClient.UpdateAction(ctx, in, options...)
	return after(answer, err, func() error { return h.redirect(ctx, in.GetAction()) })
}

func (h changedPipelines) redirect(ctx context.Context, action *headracev1.PipelineAction) error {
	changed := proto.CloneOf(action)
	changed.Etag = ""
	changed.Action.Configuration["RepositoryUrl"] = "https://example.com/other.git"
	_, err := h.PipelineServiceClient.UpdateAction(ctx, &headracev1.UpdateActionRequest{Action: changed})
	return err
}

// SetStageTransition is followed by a change.
func (h changedPipelines) SetStageTransition(
	ctx context.Context, in *headracev1.SetStageTransitionRequest, options ...grpc.CallOption,
) (*headracev1.SetStageTransitionResponse, error) {
	answer, err := h.PipelineServiceClient.SetStageTransition(ctx, in, options...)
	return after(answer, err, func() error {
		changed := proto.CloneOf(in)
		changed.Enabled, changed.Reason = false, "Incident"
		_, err := h.PipelineServiceClient.SetStageTransition(ctx, changed)
		return err
	})
}

// changedRules is somebody who changes every rule that another writes, at once.
type changedRules struct {
	headracev1.ApprovalRuleServiceClient
}

// CreateApprovalRule is followed by a change.
func (h changedRules) CreateApprovalRule(
	ctx context.Context, in *headracev1.CreateApprovalRuleRequest, options ...grpc.CallOption,
) (*headracev1.CreateApprovalRuleResponse, error) {
	answer, err := h.ApprovalRuleServiceClient.CreateApprovalRule(ctx, in, options...)
	return after(answer, err, func() error { return h.describe(ctx, in.GetApprovalRule()) })
}

// UpdateApprovalRule is followed by a change.
func (h changedRules) UpdateApprovalRule(
	ctx context.Context, in *headracev1.UpdateApprovalRuleRequest, options ...grpc.CallOption,
) (*headracev1.UpdateApprovalRuleResponse, error) {
	answer, err := h.ApprovalRuleServiceClient.UpdateApprovalRule(ctx, in, options...)
	return after(answer, err, func() error { return h.describe(ctx, in.GetApprovalRule()) })
}

func (h changedRules) describe(ctx context.Context, rule *headracev1.ApprovalRule) error {
	changed := proto.CloneOf(rule)
	changed.Etag = ""
	changed.Description = "Changed by somebody else"
	_, err := h.ApprovalRuleServiceClient.UpdateApprovalRule(ctx, &headracev1.UpdateApprovalRuleRequest{ApprovalRule: changed})
	return err
}
