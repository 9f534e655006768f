package stagetransition

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
	"github.com/headrace/terraform-provider-headrace/internal/provider/fieldpath"
	"github.com/headrace/terraform-provider-headrace/internal/provider/planning"
	"github.com/headrace/terraform-provider-headrace/internal/provider/problem"
	"github.com/headrace/terraform-provider-headrace/internal/provider/values"
)

// ValidateConfig checks what the configuration alone can break. What is not known
// yet gets the benefit of the doubt.
func (r *Resource) ValidateConfig(
	ctx context.Context, request resource.ValidateConfigRequest, response *resource.ValidateConfigResponse,
) {
	var config model
	response.Diagnostics.Append(request.Config.Get(ctx, &config)...)
	if response.Diagnostics.HasError() {
		return
	}
	problem.CheckName(ctx, &response.Diagnostics, request.Config, "pipeline", domain.CheckPipeline)
	problem.CheckName(ctx, &response.Diagnostics, request.Config, "account", domain.CheckAccount)
	unknown := domain.Stage{Name: domain.Unknown}
	stage := domain.Stage{Name: values.Text(config.Stage), Actions: []domain.Action{{Name: domain.Unknown}}}
	def := &domain.Definition{Stages: []domain.Stage{unknown, stage, unknown}}
	problem.AddViolations(&response.Diagnostics, domain.Validate(def, catalog.Builtin()),
		domain.Path{{Field: "stages", Index: 1}}, fieldpath.StageTransition(), nil)

	enabled := config.Enabled.IsNull() || config.Enabled.ValueBool()
	switch {
	case config.Enabled.IsUnknown() || config.DisabledReason.IsUnknown():
	case enabled && !config.DisabledReason.IsNull():
		response.Diagnostics.AddAttributeError(path.Root("disabled_reason"), "An enabled transition has no reason",
			"Remove disabled_reason, or set enabled = false to disable the transition.")
	case !enabled && config.DisabledReason.IsNull():
		response.Diagnostics.AddAttributeError(path.Root("enabled"), "A disabled transition needs a reason",
			"Say in disabled_reason why: everybody whose execution waits there sees it.")
	case !enabled:
		if err := domain.CheckTransitionReason(false, config.DisabledReason.ValueString()); err != nil {
			response.Diagnostics.AddAttributeError(path.Root("disabled_reason"), "The reason breaks a rule", problem.Sentence(err.Error()))
		}
	}
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
	}, "pipeline", "stage")
	planning.Support(ctx, r.session, response, reporter, func(m model) proto.Message {
		return m.request()
	})
}
