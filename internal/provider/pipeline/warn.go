package pipeline

import (
	"context"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/internal/provider/definition"
	"github.com/headrace/terraform-provider-headrace/internal/provider/planning"
	"github.com/headrace/terraform-provider-headrace/internal/provider/problem"
	"github.com/headrace/terraform-provider-headrace/internal/provider/session"
)

// planWarnings shows what the server would warn of: approval rules that match nothing in
// this pipeline, and what they would no longer guard. A server that does not answer says
// nothing here. What it refuses the apply will say, since it may not be refused then, unless
// that is a kind that only the server may know.
func (r *Resource) planWarnings(
	ctx context.Context, request resource.ModifyPlanRequest, response *resource.ModifyPlanResponse, config model, unchanged bool,
) {
	if response.Diagnostics.HasError() {
		return
	}
	raw, err := definition.Certain(response.Plan.Raw)
	if err != nil {
		return // planning.Support has reported it.
	}
	var planned model
	response.Diagnostics.Append((&tfsdk.Plan{Schema: response.Plan.Schema, Raw: raw}).Get(ctx, &planned)...)
	if response.Diagnostics.HasError() || planned.Account.IsUnknown() {
		return
	}
	r.note(planned, request.Config.Raw.IsFullyKnown())
	create := request.State.Raw.IsNull() || len(response.RequiresReplace) > 0
	if !create && unchanged || r.session.Applying() {
		// The write of the pipeline will show its warnings.
		return
	}
	pipeline := declared(config)
	foreign := pipeline.Foreign(ctx, request.Config)
	var warnings []*headracev1.Warning
	var answer planning.Answer
	if request.Config.Raw.IsFullyKnown() {
		answer.Sent, answer.Err = r.session.Ask(ctx, func(ctx context.Context, backend *client.Client) error {
			var err error
			warnings, err = dryRun(ctx, backend, planned, create)
			return err
		})
	}
	pipeline.Answered(ctx, r.session, &response.Diagnostics, planned.Account.ValueString(), foreign, reporter(planned), answer)
	switch {
	case !answer.Sent:
	case answer.Err == nil:
		r.warn(ctx, &response.Diagnostics, planned, warnings, session.KeepAlone)
	case client.Reason(answer.Err) == domain.ReasonGuardRequiresAdmin:
		// Not a token without a role, which may be the one of plans alone.
		response.Diagnostics.AddWarning("The apply of "+reporter(planned).Object+" may be refused", problem.Sentence(client.Describe(answer.Err)))
	}
}

// dryRun returns what an apply would be warned of.
func dryRun(ctx context.Context, backend *client.Client, planned model, create bool) ([]*headracev1.Warning, error) {
	if create {
		answer, err := backend.Pipelines.CreatePipeline(ctx, &headracev1.CreatePipelineRequest{
			Pipeline: planned.message(), ValidateOnly: true,
		})
		return answer.GetWarnings(), err
	}
	answer, err := backend.Pipelines.UpdatePipeline(ctx, &headracev1.UpdatePipelineRequest{
		Pipeline: planned.message(), ValidateOnly: true,
	})
	return answer.GetWarnings(), err
}

// warn shows warnings of a write. The stages of a composed pipeline are resources of their
// own, which may follow: whether a rule matches none of them is not known yet. A rule that
// is missing may follow, too, and usually does, since it names the pipeline.
func (r *Resource) warn(
	ctx context.Context, diags *diag.Diagnostics, m model, warnings []*headracev1.Warning, alone session.Alone,
) {
	warnings = slices.DeleteFunc(slices.Clone(warnings), func(w *headracev1.Warning) bool {
		reason := domain.Reason(w.GetReason())
		return reason == domain.ReasonApprovalRuleMissing || reason.AboutSelector() && len(m.Stages) == 0
	})
	warnings = r.session.StillTrue(ctx, m.Account.ValueString(), warnings, alone)
	reporter(m).Warn(diags, warnings, r.session.Tell)
}

// note tells rules of the same run which parts the pipeline will have.
func (r *Resource) note(planned model, known bool) {
	account, name, def := planned.Account.ValueString(), planned.Name.ValueString(), planned.message().GetDefinition()
	if known && len(def.GetStages()) > 0 {
		r.session.NoteInline(account, name, parts(name, def)...)
		return
	}
	r.session.NotePlanned(account, parts(name, def)...)
}

// written shows warnings after a write that the plan could not show, and notes that parts
// may follow.
func (r *Resource) written(ctx context.Context, diags *diag.Diagnostics, m model, warnings []*headracev1.Warning) {
	if len(m.Stages) == 0 {
		r.session.NoteWritten(m.Account.ValueString(), m.Name.ValueString())
	}
	r.warn(ctx, diags, m, warnings, session.DropAlone)
}

// parts returns what approval rules may match of a definition.
func parts(name string, def *headracev1.PipelineDefinition) []session.Part {
	all := []session.Part{{Pipeline: name}}
	for _, stage := range def.GetStages() {
		all = append(all, session.Part{Pipeline: name, Stage: stage.GetName()})
		for _, action := range stage.GetActions() {
			if action.GetCategory() == string(domain.CategoryApproval) {
				all = append(all, session.Part{Pipeline: name, Stage: stage.GetName(), Action: action.GetName()})
			}
		}
	}
	return all
}
