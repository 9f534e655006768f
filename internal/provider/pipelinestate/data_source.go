// Package pipelinestate is the data source headrace_pipeline_state: what happens in
// the stages of a pipeline now, and their transitions.
package pipelinestate

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/pipelinepb"
	"github.com/headrace/terraform-provider-headrace/internal/provider/accountguard"
	"github.com/headrace/terraform-provider-headrace/internal/provider/session"
	"github.com/headrace/terraform-provider-headrace/internal/provider/values"
)

// DataSource reads the state of a pipeline.
type DataSource struct {
	session *session.Session
}

// New returns the data source.
func New() datasource.DataSource {
	return accountguard.DataSource(&DataSource{})
}

// model is the data source as Terraform has it.
type model struct {
	ID              types.String `tfsdk:"id"`
	Account         types.String `tfsdk:"account"`
	Pipeline        types.String `tfsdk:"pipeline"`
	PipelineVersion types.Int64  `tfsdk:"pipeline_version"`
	ExecutionMode   types.String `tfsdk:"execution_mode"`
	Stages          []stage      `tfsdk:"stages"`
}

type stage struct {
	Name                     types.String `tfsdk:"name"`
	Transition               transition   `tfsdk:"transition"`
	CurrentExecution         types.String `tfsdk:"current_execution"`
	InboundExecutions        types.List   `tfsdk:"inbound_executions"`
	LatestExecution          types.String `tfsdk:"latest_execution"`
	LatestSucceededExecution types.String `tfsdk:"latest_succeeded_execution"`
}

type transition struct {
	Enabled        types.Bool   `tfsdk:"enabled"`
	DisabledReason types.String `tfsdk:"disabled_reason"`
	Principal      types.String `tfsdk:"principal"`
	ChangedAt      types.String `tfsdk:"changed_at"`
}

// Metadata returns the name of the data source type.
func (d *DataSource) Metadata(
	_ context.Context, request datasource.MetadataRequest, response *datasource.MetadataResponse,
) {
	response.TypeName = request.ProviderTypeName + "_pipeline_state"
}

// Configure takes what the provider hands out.
func (d *DataSource) Configure(
	_ context.Context, request datasource.ConfigureRequest, response *datasource.ConfigureResponse,
) {
	d.session = session.FromDataSource(request, response)
}

// Schema returns the arguments and what is read.
func (d *DataSource) Schema(
	_ context.Context, _ datasource.SchemaRequest, response *datasource.SchemaResponse,
) {
	text := func(description string) schema.Attribute {
		return schema.StringAttribute{Computed: true, MarkdownDescription: description}
	}
	response.Schema = schema.Schema{
		MarkdownDescription: "What happens in a pipeline now: which executions are in its stages or wait in front of them, and which " +
			"transitions are disabled. Fails if no pipeline has that name. Executions are listed by id, for use with " +
			"[`headrace_execution`](execution.md).",
		Attributes: map[string]schema.Attribute{
			"id": text("Resource name of the pipeline: `accounts/{account}/pipelines/{pipeline}`."),
			"account": schema.StringAttribute{
				Optional: true, Computed: true,
				MarkdownDescription: "Account of the pipeline. Defaults to the provider's account.",
			},
			"pipeline": schema.StringAttribute{Required: true, MarkdownDescription: "Name of the pipeline."},
			"pipeline_version": schema.Int64Attribute{
				Computed: true, MarkdownDescription: "Number of the newest version, whose stages are shown; 0 while nothing was published.",
			},
			"execution_mode": text("How executions meet: `SUPERSEDED`, `QUEUED` or `PARALLEL`. Null while nothing was published."),
			"stages": schema.ListNestedAttribute{
				Computed:            true,
				MarkdownDescription: "The stages of the newest version, in order. Empty in `PARALLEL` mode, whose executions pass one another.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"name": text("Name of the stage."),
					"transition": schema.SingleNestedAttribute{
						Computed:            true,
						MarkdownDescription: "The transition into the stage: see [`headrace_stage_transition`](../resources/stage_transition.md).",
						Attributes: map[string]schema.Attribute{
							"enabled":         schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether executions may enter the stage."},
							"disabled_reason": text("Why they may not. Null where they may."),
							"principal":       text("Principal that changed it last. Null if it was never changed."),
							"changed_at":      text("When (RFC 3339, UTC). Null where nobody did."),
						},
					},
					"current_execution": text("The execution that is in the stage. Null where none is."),
					"inbound_executions": schema.ListAttribute{
						Computed: true, ElementType: types.StringType,
						MarkdownDescription: "Executions that wait in front of the stage, the next one first.",
					},
					"latest_execution": text("The execution that entered the stage last. Null where none did."),
					"latest_succeeded_execution": text("The execution that succeeded in the stage last or, if a rollback has succeeded since, the target of " +
						"the rollback. An automatic rollback goes back to it, if the stage has not changed since. Null if there is none."),
				}},
			},
		},
	}
}

// Read reads the state.
func (d *DataSource) Read(ctx context.Context, request datasource.ReadRequest, response *datasource.ReadResponse) {
	var config model
	response.Diagnostics.Append(request.Config.Get(ctx, &config)...)
	if response.Diagnostics.HasError() {
		return
	}
	summary := fmt.Sprintf("Cannot read the state of pipeline %q", config.Pipeline.ValueString())
	backend, err := d.session.Client()
	if err != nil {
		response.Diagnostics.AddError(summary, err.Error())
		return
	}
	config.Account = d.session.Account(config.Account)
	name := client.PipelineName(config.Account.ValueString(), config.Pipeline.ValueString())
	answer, err := backend.Pipelines.GetPipelineState(ctx, &headracev1.GetPipelineStateRequest{Name: name})
	if err != nil {
		response.Diagnostics.AddError(summary, client.Describe(err))
		return
	}
	config.ID = types.StringValue(name)
	config.PipelineVersion = types.Int64Value(answer.GetState().GetPipelineVersion())
	config.ExecutionMode = values.FromText(string(pipelinepb.ModeFromProto(answer.GetState().GetExecutionMode())))
	config.Stages = stagesOf(answer.GetState().GetStages())
	response.Diagnostics.Append(response.State.Set(ctx, config)...)
}

func stagesOf(states []*headracev1.StageState) []stage {
	stages := []stage{}
	for _, state := range states {
		inbound := make([]string, 0, len(state.GetInboundExecutions()))
		for _, execution := range state.GetInboundExecutions() {
			inbound = append(inbound, client.Segment(execution, "executions"))
		}
		stages = append(stages, stage{
			Name: types.StringValue(state.GetStage()),
			Transition: transition{
				// Absent while nobody touched it.
				Enabled:        types.BoolValue(state.GetTransition() == nil || state.GetTransition().GetEnabled()),
				DisabledReason: values.FromText(state.GetTransition().GetDisabledReason()),
				Principal:      values.FromText(state.GetTransition().GetPrincipal()),
				ChangedAt:      values.FromTime(state.GetTransition().GetChangeTime()),
			},
			CurrentExecution:         idOf(state.GetCurrentExecution()),
			InboundExecutions:        values.ListOf(inbound),
			LatestExecution:          idOf(state.GetLatestExecution()),
			LatestSucceededExecution: idOf(state.GetLatestSucceededExecution()),
		})
	}
	return stages
}

// idOf returns the id of an execution, null where none is named.
func idOf(name string) types.String {
	return values.FromText(client.Segment(name, "executions"))
}

var _ datasource.DataSourceWithConfigure = (*DataSource)(nil)
