package execution

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/pipelinepb"
	"github.com/headrace/terraform-provider-headrace/internal/provider/accountguard"
	"github.com/headrace/terraform-provider-headrace/internal/provider/session"
	"github.com/headrace/terraform-provider-headrace/internal/provider/values"
)

const (
	defaultLimit = 50
	maxLimit     = 1000
	// pageSize is the most that one call returns.
	pageSize = 100
)

// ListDataSource reads the executions of a pipeline.
type ListDataSource struct {
	session *session.Session
}

// NewList returns the data source of executions.
func NewList() datasource.DataSource {
	return accountguard.DataSource(&ListDataSource{})
}

// listModel is the data source as Terraform has it.
type listModel struct {
	Account    types.String `tfsdk:"account"`
	Pipeline   types.String `tfsdk:"pipeline"`
	Statuses   types.Set    `tfsdk:"statuses"`
	Limit      types.Int64  `tfsdk:"limit"`
	Executions []listed     `tfsdk:"executions"`
}

type listed struct {
	ID types.String `tfsdk:"id"`
	summary
}

// Metadata returns the name of the data source type.
func (d *ListDataSource) Metadata(
	_ context.Context, request datasource.MetadataRequest, response *datasource.MetadataResponse,
) {
	response.TypeName = request.ProviderTypeName + "_executions"
}

// Configure takes what the provider hands out.
func (d *ListDataSource) Configure(
	_ context.Context, request datasource.ConfigureRequest, response *datasource.ConfigureResponse,
) {
	d.session = session.FromDataSource(request, response)
}

// Schema returns the arguments and what is read.
func (d *ListDataSource) Schema(
	_ context.Context, _ datasource.SchemaRequest, response *datasource.SchemaResponse,
) {
	response.Schema = schema.Schema{
		MarkdownDescription: "The executions of a pipeline, newest first. A pipeline that does not exist is an error; one that never ran " +
			"has none.",
		Attributes: merged(pipelineAttributes(), map[string]schema.Attribute{
			"statuses": schema.SetAttribute{
				Optional:    true,
				ElementType: types.StringType,
				Validators: []validator.Set{
					setvalidator.ValueStringsAre(stringvalidator.OneOf(executionStatuses()...)),
				},
				MarkdownDescription: "Only executions with one of these statuses: " + statuses + ".",
			},
			"limit": schema.Int64Attribute{
				Optional:            true,
				Validators:          []validator.Int64{int64validator.Between(1, maxLimit)},
				MarkdownDescription: "How many executions to read at most, 1 to 1000. Without it 50.",
			},
			"executions": schema.ListNestedAttribute{
				Computed:            true,
				MarkdownDescription: "The executions, newest first, without their stages.",
				NestedObject: schema.NestedAttributeObject{
					Attributes: merged(summaryAttributes(), map[string]schema.Attribute{
						"id": text("Id of the execution, a UUID."),
					}),
				},
			},
		}),
	}
}

// Read reads the executions.
func (d *ListDataSource) Read(ctx context.Context, request datasource.ReadRequest, response *datasource.ReadResponse) {
	var config listModel
	response.Diagnostics.Append(request.Config.Get(ctx, &config)...)
	if response.Diagnostics.HasError() {
		return
	}
	trouble := fmt.Sprintf("Cannot read the executions of pipeline %q", config.Pipeline.ValueString())
	backend, err := d.session.Client()
	if err != nil {
		response.Diagnostics.AddError(trouble, err.Error())
		return
	}
	config.Account = d.session.Account(config.Account)
	found, err := list(ctx, backend, config)
	if err != nil {
		response.Diagnostics.AddError(trouble, client.Describe(err))
		return
	}
	config.Executions = []listed{}
	for _, execution := range found {
		config.Executions = append(config.Executions, listed{
			ID: types.StringValue(execution.GetId()), summary: summaryOf(execution),
		})
	}
	response.Diagnostics.Append(response.State.Set(ctx, config)...)
}

// list returns the executions that the configuration means.
func list(ctx context.Context, backend *client.Client, config listModel) ([]*headracev1.Execution, error) {
	request := &headracev1.ListExecutionsRequest{
		Parent: client.PipelineName(config.Account.ValueString(), config.Pipeline.ValueString()),
	}
	for _, status := range values.Texts(config.Statuses) {
		request.Statuses = append(request.Statuses, pipelinepb.StatusToProto(domain.Status(status)))
	}
	left := defaultLimit
	if !config.Limit.IsNull() {
		left = int(config.Limit.ValueInt64())
	}
	var executions []*headracev1.Execution
	for {
		request.PageSize = int32(min(left, pageSize))
		page, err := backend.Executions.ListExecutions(ctx, request)
		if err != nil {
			return nil, err
		}
		executions = append(executions, page.GetExecutions()...)
		left -= len(page.GetExecutions())
		request.PageToken = page.GetNextPageToken()
		if left <= 0 || request.PageToken == "" {
			return executions, nil
		}
	}
}

var _ datasource.DataSourceWithConfigure = (*ListDataSource)(nil)
