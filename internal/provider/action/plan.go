package action

import (
	"context"

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
	"github.com/headrace/terraform-provider-headrace/internal/provider/values"
)

// ValidateConfig checks what an action alone can break. What it has to do with
// other actions is checked when a version is published.
func (r *Resource) ValidateConfig(
	ctx context.Context, request resource.ValidateConfigRequest, response *resource.ValidateConfigResponse,
) {
	config, ok := definition.Decode[model](ctx, &response.Diagnostics, request.Config)
	if !ok {
		return
	}
	problem.CheckName(ctx, &response.Diagnostics, request.Config, "pipeline", domain.CheckPipeline)
	problem.CheckName(ctx, &response.Diagnostics, request.Config, "account", domain.CheckAccount)
	action := declared(config)
	action.Validate(ctx, r.session, request.Config, &response.Diagnostics)
	problem.AddViolations(&response.Diagnostics, &domain.ValidationError{Violations: config.CheckOutputFiles(action.Definition, action.Within)},
		action.Within, fieldpath.Action(), nil)
}

// declared returns the action between others that may be anything.
func declared(config model) planning.Declared {
	unknown := domain.Stage{Name: domain.Unknown}
	return planning.Declared{
		Definition: &domain.Definition{
			Variables: []domain.Variable{{Name: domain.Unknown}},
			Stages: []domain.Stage{unknown, {
				Name: values.Text(config.Stage),
				Actions: []domain.Action{
					{Name: domain.Unknown}, config.Domain(config.Name, config.ProviderName), {Name: domain.Unknown},
				},
			}, unknown},
		},
		Within:  domain.Path(nil).At("stages", 1).At("actions", 1),
		Shape:   fieldpath.Action(),
		Written: config.TerraformPath,
	}
}

// warnOffline adds what may surprise in a valid action.
func (r *Resource) warnOffline(diags *diag.Diagnostics, config model) {
	def := &domain.Definition{Stages: []domain.Stage{{
		Name: values.Text(config.Stage), Actions: []domain.Action{config.Domain(config.Name, config.ProviderName)},
	}}}
	problem.AddWarnings(diags, reporter(config).Object, domain.Warnings(def, catalog.Builtin()), fieldpath.Action(), func(p domain.Path) domain.Path { return p[2:] }, r.session.Tell)
}

// ModifyPlan fills in what depends on the provider or on other arguments.
func (r *Resource) ModifyPlan(
	ctx context.Context, request resource.ModifyPlanRequest, response *resource.ModifyPlanResponse,
) {
	if request.Plan.Raw.IsNull() {
		return
	}
	config, ok := definition.Decode[model](ctx, &response.Diagnostics, request.Config)
	if !ok {
		return
	}
	r.warnOffline(&response.Diagnostics, config)
	planning.Name(ctx, r.session, request, response, func(account string, names []string) string {
		return client.ActionName(account, names[0], names[1], names[2])
	}, "pipeline", "stage", "name")
	unchanged := planning.Settle(ctx, request, response, func(m model) proto.Message { return m.message() }, "etag")
	planning.NoteChange(ctx, r.session, response, unchanged)
	var account, pipeline, stage, name, category types.String
	for attribute, value := range map[string]*types.String{
		"account": &account, "pipeline": &pipeline, "stage": &stage, "name": &name, "category": &category,
	} {
		response.Diagnostics.Append(response.Plan.GetAttribute(ctx, path.Root(attribute), value)...)
	}
	if category.ValueString() == string(domain.CategoryApproval) {
		r.session.NotePlanned(account.ValueString(), session.Part{
			Pipeline: pipeline.ValueString(), Stage: stage.ValueString(), Action: name.ValueString(),
		})
	}
	planning.Support(ctx, r.session, response, reporter, func(m model) proto.Message {
		return &headracev1.CreateActionRequest{Action: m.message()}
	})
	planning.AskKinds(ctx, r.session, request, response, declared(config), unchanged, reporter, dryRun)
}

// dryRun returns the error that an apply would fail with.
func dryRun(ctx context.Context, backend *client.Client, planned model, create bool) error {
	if create {
		_, err := backend.Pipelines.CreateAction(ctx, &headracev1.CreateActionRequest{Action: planned.message(), ValidateOnly: true})
		return err
	}
	_, err := backend.Pipelines.UpdateAction(ctx, &headracev1.UpdateActionRequest{Action: planned.message(), ValidateOnly: true})
	return err
}
