package stage

import (
	"context"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
	"github.com/headrace/terraform-provider-headrace/internal/provider/definition"
	"github.com/headrace/terraform-provider-headrace/internal/provider/fieldpath"
	"github.com/headrace/terraform-provider-headrace/internal/provider/planning"
	"github.com/headrace/terraform-provider-headrace/internal/provider/problem"
	"github.com/headrace/terraform-provider-headrace/internal/provider/session"
)

// ValidateConfig checks what a stage alone can break. What it has to do with its
// actions and its neighbours is checked when a version is published.
func (r *Resource) ValidateConfig(
	ctx context.Context, request resource.ValidateConfigRequest, response *resource.ValidateConfigResponse,
) {
	config, ok := definition.Decode[model](ctx, &response.Diagnostics, request.Config)
	if !ok {
		return
	}
	problem.CheckName(ctx, &response.Diagnostics, request.Config, "pipeline", domain.CheckPipeline)
	problem.CheckName(ctx, &response.Diagnostics, request.Config, "account", domain.CheckAccount)
	declared(config).Validate(ctx, r.session, request.Config, &response.Diagnostics)
}

// declared returns the stage between others that may be anything.
func declared(config model) planning.Declared {
	stage := config.Domain(config.Name)
	stage.Actions = []domain.Action{{Name: domain.Unknown}}
	return planning.Declared{
		Definition: &domain.Definition{
			Variables: []domain.Variable{{Name: domain.Unknown}},
			Stages:    []domain.Stage{{Name: domain.Unknown}, stage, {Name: domain.Unknown}},
		},
		Within: domain.Path(nil).At("stages", 1),
		Shape:  fieldpath.Stage(),
	}
}

// warnOffline adds what may surprise in a valid stage.
func (r *Resource) warnOffline(diags *diag.Diagnostics, config model) {
	warnings := domain.WarningsAt(&domain.Definition{Stages: []domain.Stage{config.Domain(config.Name)}}, catalog.Builtin(), time.Now())
	warnings = slices.DeleteFunc(warnings, func(w domain.Warning) bool {
		return w.Reason == domain.WarningRollbackWaits && len(config.OnRollback) > 0
	})
	problem.AddWarnings(diags, reporter(config).Object, warnings, fieldpath.Stage(), func(p domain.Path) domain.Path { return p[1:] }, r.session.Tell)
}

// ModifyPlan fills in what depends on the provider or on other arguments.
func (r *Resource) ModifyPlan(
	ctx context.Context, request resource.ModifyPlanRequest, response *resource.ModifyPlanResponse,
) {
	if request.Plan.Raw.IsNull() {
		return
	}
	planning.Name(ctx, r.session, request, response, func(account string, names []string) string {
		return client.StageName(account, names[0], names[1])
	}, "pipeline", "name")
	unchanged := planning.Settle(ctx, request, response, func(m model) proto.Message { return m.message() }, "etag")
	planning.NoteChange(ctx, r.session, response, unchanged)
	config, ok := definition.Decode[model](ctx, &response.Diagnostics, request.Config)
	if !ok {
		return
	}
	r.warnOffline(&response.Diagnostics, config)
	var account, pipeline, name types.String
	for attribute, value := range map[string]*types.String{"account": &account, "pipeline": &pipeline, "name": &name} {
		response.Diagnostics.Append(response.Plan.GetAttribute(ctx, path.Root(attribute), value)...)
	}
	r.session.NotePlanned(account.ValueString(), session.Part{Pipeline: pipeline.ValueString(), Stage: name.ValueString()})
	planning.Support(ctx, r.session, response, reporter, func(m model) proto.Message {
		return &headracev1.CreateStageRequest{Stage: m.message()}
	})
	planning.AskKinds(ctx, r.session, request, response, declared(config), unchanged, reporter, dryRun)
}

// dryRun returns the error that an apply would fail with.
func dryRun(ctx context.Context, backend *client.Client, planned model, create bool) error {
	if create {
		_, err := backend.Pipelines.CreateStage(ctx, &headracev1.CreateStageRequest{Stage: planned.message(), ValidateOnly: true})
		return err
	}
	_, err := backend.Pipelines.UpdateStage(ctx, &headracev1.UpdateStageRequest{Stage: planned.message(), ValidateOnly: true})
	return err
}
