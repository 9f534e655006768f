package stage

import (
	"context"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
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
	stage := config.Domain(config.Name)
	stage.Actions = []domain.Action{{Name: domain.Unknown}}
	def := &domain.Definition{
		Variables: []domain.Variable{{Name: domain.Unknown}},
		Stages:    []domain.Stage{{Name: domain.Unknown}, stage, {Name: domain.Unknown}},
	}
	problem.AddViolations(&response.Diagnostics, domain.Validate(def, domain.BuiltinCatalog()),
		domain.Path{{Field: "stages", Index: 1}}, fieldpath.Stage(), nil)
}

// warnOffline adds what may surprise in a valid stage.
func (r *Resource) warnOffline(ctx context.Context, diags *diag.Diagnostics, configuration tfsdk.Config) {
	config, ok := definition.Decode[model](ctx, diags, configuration)
	if !ok {
		return
	}
	warnings := domain.WarningsAt(&domain.Definition{Stages: []domain.Stage{config.Domain(config.Name)}}, time.Now())
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
	planning.Settle(ctx, request, response, func(m model) proto.Message { return m.message() }, "etag")
	r.warnOffline(ctx, &response.Diagnostics, request.Config)
	var account, pipeline, name types.String
	for attribute, value := range map[string]*types.String{"account": &account, "pipeline": &pipeline, "name": &name} {
		response.Diagnostics.Append(response.Plan.GetAttribute(ctx, path.Root(attribute), value)...)
	}
	r.session.NotePlanned(account.ValueString(), session.Part{Pipeline: pipeline.ValueString(), Stage: name.ValueString()})
	planning.Support(ctx, r.session, response, reporter, func(m model) proto.Message {
		return &headracev1.CreateStageRequest{Stage: m.message()}
	})
}
