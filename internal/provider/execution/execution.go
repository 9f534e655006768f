// Package execution is the data sources headrace_execution and
// headrace_executions: what ran, what waits and why. They start nothing.
package execution

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/pipelinepb"
	"github.com/headrace/terraform-provider-headrace/internal/provider/accountguard"
	"github.com/headrace/terraform-provider-headrace/internal/provider/session"
)

// DataSource reads one execution.
type DataSource struct {
	session *session.Session
}

// New returns the data source of one execution.
func New() datasource.DataSource {
	return accountguard.DataSource(&DataSource{})
}

// model is the data source as Terraform has it.
type model struct {
	Account  types.String `tfsdk:"account"`
	Pipeline types.String `tfsdk:"pipeline"`
	ID       types.String `tfsdk:"id"`
	summary
	Stages      []stage      `tfsdk:"stages"`
	WaitReasons []waitReason `tfsdk:"wait_reasons"`
}

// Metadata returns the name of the data source type.
func (d *DataSource) Metadata(
	_ context.Context, request datasource.MetadataRequest, response *datasource.MetadataResponse,
) {
	response.TypeName = request.ProviderTypeName + "_execution"
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
	response.Schema = schema.Schema{
		MarkdownDescription: "One execution of a pipeline: the one with an `id`, or the latest, also the latest with a `status`. Where " +
			"the pipeline has no such execution yet, `id`, `status` and everything else that is read are null, so that a first plan " +
			"works. An `id` that does not exist, or a pipeline that does not exist, is an error.",
		Attributes: merged(summaryAttributes(), pipelineAttributes(), map[string]schema.Attribute{
			"id": schema.StringAttribute{
				Optional: true, Computed: true,
				Validators: []validator.String{
					stringvalidator.LengthAtLeast(1),
					stringvalidator.ConflictsWith(path.MatchRoot("status")),
				},
				MarkdownDescription: "Id of the execution, a UUID. Without it the latest is read.",
			},
			"status": schema.StringAttribute{
				Optional: true, Computed: true,
				Validators:          []validator.String{stringvalidator.OneOf(executionStatuses()...)},
				MarkdownDescription: "Status: " + statuses + ". Given, it chooses the latest execution with that status.",
			},
			"stages":       stagesAttribute(),
			"wait_reasons": waitReasonsAttribute(),
		}),
	}
}

// Read reads the execution.
func (d *DataSource) Read(ctx context.Context, request datasource.ReadRequest, response *datasource.ReadResponse) {
	var config model
	response.Diagnostics.Append(request.Config.Get(ctx, &config)...)
	if response.Diagnostics.HasError() {
		return
	}
	trouble := fmt.Sprintf("Cannot read the execution of pipeline %q", config.Pipeline.ValueString())
	backend, err := d.session.Client()
	if err != nil {
		response.Diagnostics.AddError(trouble, err.Error())
		return
	}
	config.Account = d.session.Account(config.Account)
	found, err := find(ctx, backend, config)
	if err != nil {
		response.Diagnostics.AddError(trouble, client.Describe(err))
		return
	}
	if found == nil {
		wanted := config.Status
		config.summary = nothing()
		config.Status = wanted
		response.Diagnostics.Append(response.State.Set(ctx, config)...)
		return
	}
	config.ID = types.StringValue(found.GetId())
	config.summary = summaryOf(found)
	config.Stages = stagesOf(found.GetStages())
	config.WaitReasons, err = explain(ctx, backend, found)
	if err != nil {
		response.Diagnostics.AddError(trouble, client.Describe(err))
		return
	}
	response.Diagnostics.Append(response.State.Set(ctx, config)...)
}

// find returns the execution that the configuration means, nil where there is
// none yet.
func find(ctx context.Context, backend *client.Client, config model) (*headracev1.Execution, error) {
	account, pipeline := config.Account.ValueString(), config.Pipeline.ValueString()
	id := config.ID.ValueString()
	if id == "" {
		request := &headracev1.ListExecutionsRequest{Parent: client.PipelineName(account, pipeline), PageSize: 1}
		if status := config.Status.ValueString(); status != "" {
			request.Statuses = []headracev1.ExecutionStatus{pipelinepb.StatusToProto(domain.Status(status))}
		}
		latest, err := backend.Executions.ListExecutions(ctx, request)
		if err != nil {
			return nil, err
		}
		if len(latest.GetExecutions()) == 0 {
			return nil, nil //nolint:nilnil // No execution is an answer here, not an error.
		}
		id = latest.GetExecutions()[0].GetId()
	}
	answer, err := backend.Executions.GetExecution(ctx, &headracev1.GetExecutionRequest{
		Name: client.ExecutionName(account, pipeline, id),
	})
	if err != nil {
		return nil, err
	}
	return answer.GetExecution(), nil
}

// executionStatuses returns the statuses that an execution can have.
func executionStatuses() []string {
	var statuses []string
	for _, status := range domain.Statuses() {
		switch status {
		case domain.Skipped, domain.Abandoned, domain.Errored, domain.Overridden:
			// Those of stages, actions and conditions.
		default:
			statuses = append(statuses, string(status))
		}
	}
	return statuses
}

var _ datasource.DataSourceWithConfigure = (*DataSource)(nil)
