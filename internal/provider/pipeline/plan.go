package pipeline

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
)

// ValidateConfig checks the definition by the rules of the server, and without
// one. What is not known yet gets the benefit of the doubt.
func (r *Resource) ValidateConfig(
	ctx context.Context, request resource.ValidateConfigRequest, response *resource.ValidateConfigResponse,
) {
	config, ok := definition.Decode[model](ctx, &response.Diagnostics, request.Config)
	if !ok {
		return
	}
	problem.CheckName(ctx, &response.Diagnostics, request.Config, "name", domain.CheckPipeline)
	problem.CheckName(ctx, &response.Diagnostics, request.Config, "account", domain.CheckAccount)
	if len(config.Stages) > 0 && !config.Publish.IsNull() {
		response.Diagnostics.AddAttributeError(path.Root("publish"), "An inline pipeline has no publish policy",
			"Every apply that changes an inline pipeline publishes it. Remove publish, or remove the stage blocks and write the "+
				"stages as headrace_stage resources.")
	}
	pipeline := declared(config)
	pipeline.Validate(ctx, r.session, request.Config, &response.Diagnostics)
	stray := definition.CheckOutputFilesIn(pipeline.Definition, config.Stages)
	problem.AddViolations(&response.Diagnostics, &domain.ValidationError{Violations: stray}, nil, fieldpath.Definition(), nil)
}

// declared returns the definition. The stages of a composed pipeline are resources of their
// own: here they may be anything.
func declared(config model) planning.Declared {
	def := config.Domain()
	def.Stages = definition.StagesDomain(config.Stages)
	if len(def.Stages) == 0 {
		def.Stages = []domain.Stage{{Name: domain.Unknown}}
	}
	return planning.Declared{Definition: &def, Shape: fieldpath.Definition(), Written: config.terraformPath}
}

// warnOffline adds what may surprise in a valid definition. It is part of the plan, since
// Terraform checks a configuration several times and repeats what that warns of.
func (r *Resource) warnOffline(diags *diag.Diagnostics, config model) {
	def := config.Domain()
	def.Stages = definition.StagesDomain(config.Stages)
	warnings := slices.DeleteFunc(domain.WarningsAt(&def, catalog.Builtin(), time.Now()), func(w domain.Warning) bool {
		return w.Reason == domain.WarningRollbackWaits && len(config.Stages[w.Path[0].Index].OnRollback) > 0
	})
	problem.AddWarnings(diags, reporter(config).Object, warnings, fieldpath.Definition(), config.terraformPath, r.session.Tell)
}

// ModifyPlan fills in what depends on the provider, on other arguments or on the
// state.
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
		return client.PipelineName(account, names[0])
	}, "name")
	var stages types.List
	response.Diagnostics.Append(request.Plan.GetAttribute(ctx, path.Root("stage"), &stages)...)
	r.planPublish(ctx, stages, request, response)
	if response.Diagnostics.HasError() {
		return
	}
	// What the framework planned does not know of the defaults above: a change that
	// is nothing but publish going back to its default publishes, too.
	version, etag := types.Int64Unknown(), types.StringUnknown()
	if !request.State.Raw.IsNull() {
		r.planComposition(ctx, stages, request, response)
	}
	if composed(stages) {
		version = types.Int64Null()
	}
	response.Diagnostics.Append(response.Plan.SetAttribute(ctx, path.Root("version"), version)...)
	response.Diagnostics.Append(response.Plan.SetAttribute(ctx, path.Root("etag"), etag)...)
	unchanged := planning.Settle(ctx, request, response, func(m model) proto.Message { return m.message() }, "version", "etag")
	planning.NoteChange(ctx, r.session, response, unchanged)
	planning.Support(ctx, r.session, response, reporter, func(m model) proto.Message {
		return &headracev1.CreatePipelineRequest{Pipeline: m.message()}
	})
	r.planWarnings(ctx, request, response, config, unchanged)
}

// composed tells whether the pipeline is certainly one without stage blocks.
func composed(stages types.List) bool {
	return !stages.IsUnknown() && len(stages.Elements()) == 0
}

// planPublish plans the default of publish, which only composed pipelines have.
func (r *Resource) planPublish(
	ctx context.Context, stages types.List, request resource.ModifyPlanRequest, response *resource.ModifyPlanResponse,
) {
	var configured types.String
	publish := path.Root("publish")
	response.Diagnostics.Append(request.Config.GetAttribute(ctx, publish, &configured)...)
	if !configured.IsNull() || stages.IsUnknown() {
		return
	}
	planned := types.StringNull()
	if composed(stages) {
		planned = types.StringValue(publishAuto)
	}
	response.Diagnostics.Append(response.Plan.SetAttribute(ctx, publish, planned)...)
}

// planComposition asks for a replacement where the stages move into the pipeline
// or out of it: the backend keeps a pipeline as it was created.
func (r *Resource) planComposition(
	ctx context.Context, stages types.List, request resource.ModifyPlanRequest, response *resource.ModifyPlanResponse,
) {
	var before types.List
	response.Diagnostics.Append(request.State.GetAttribute(ctx, path.Root("stage"), &before)...)
	if stages.IsUnknown() {
		warnOfUnknownStages(&response.Diagnostics, before)
		return
	}
	if (len(stages.Elements()) == 0) != (len(before.Elements()) == 0) {
		response.RequiresReplace = append(response.RequiresReplace, path.Root("stage"))
	}
}

// warnOfUnknownStages speaks up where only the apply will know whether a pipeline
// that exists has stages: Terraform does not let an apply turn an update into a
// replacement. A composed pipeline that gets stages certainly has to be replaced.
// Blocks of an inline one are hardly ever none, so the plan goes on.
func warnOfUnknownStages(diags *diag.Diagnostics, before types.List) {
	const (
		summary = "Whether the pipeline is inline is known only after an apply"
		advice  = "The pipeline would have to be replaced, which Terraform must plan: first apply what the dynamic blocks " +
			"come from, with -target, or make them of values that a plan knows."
	)
	if composed(before) {
		diags.AddAttributeError(path.Root("stage"), summary, "The pipeline is composed, and its stage blocks are made of values "+
			"that are not known yet. "+advice)
		return
	}
	diags.AddAttributeWarning(path.Root("stage"), summary, "Its stage blocks are made of values that are not known yet. If "+
		"there turns out to be no block at all, the apply fails with an inconsistent final plan. "+advice)
}
