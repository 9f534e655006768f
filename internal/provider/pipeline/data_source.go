package pipeline

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

// DataSource reads a pipeline.
type DataSource struct {
	session *session.Session
}

// NewDataSource returns the data source.
func NewDataSource() datasource.DataSource {
	return accountguard.DataSource(&DataSource{})
}

// dataModel is the data source as Terraform has it.
type dataModel struct {
	ID                 types.String `tfsdk:"id"`
	Account            types.String `tfsdk:"account"`
	Name               types.String `tfsdk:"name"`
	Description        types.String `tfsdk:"description"`
	ExecutionMode      types.String `tfsdk:"execution_mode"`
	Composition        types.String `tfsdk:"composition"`
	Publish            types.String `tfsdk:"publish"`
	Version            types.Int64  `tfsdk:"version"`
	UnpublishedChanges types.Bool   `tfsdk:"unpublished_changes"`
	Variables          []dataVar    `tfsdk:"variables"`
	Stages             []dataStage  `tfsdk:"stages"`
}

type dataVar struct {
	Name         types.String `tfsdk:"name"`
	DefaultValue types.String `tfsdk:"default_value"`
	Description  types.String `tfsdk:"description"`
}

type dataStage struct {
	Name    types.String `tfsdk:"name"`
	Actions []dataAction `tfsdk:"actions"`
}

type dataAction struct {
	Name      types.String `tfsdk:"name"`
	Category  types.String `tfsdk:"category"`
	Owner     types.String `tfsdk:"owner"`
	Provider  types.String `tfsdk:"provider"`
	Version   types.String `tfsdk:"version"`
	RunOrder  types.Int64  `tfsdk:"run_order"`
	Namespace types.String `tfsdk:"namespace"`
}

// Metadata returns the name of the data source type.
func (d *DataSource) Metadata(
	_ context.Context, request datasource.MetadataRequest, response *datasource.MetadataResponse,
) {
	response.TypeName = request.ProviderTypeName + "_pipeline"
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
		MarkdownDescription: "Reads a pipeline, whoever declared it. Fails if no pipeline has that name.",
		Attributes: map[string]schema.Attribute{
			"id": text("Resource name: `accounts/{account}/pipelines/{name}`."),
			"account": schema.StringAttribute{
				Optional:            true,
				Computed:            true,
				MarkdownDescription: "Account of the pipeline. Defaults to the provider's account.",
			},
			"name":           schema.StringAttribute{Required: true, MarkdownDescription: "Name of the pipeline."},
			"description":    text("What the pipeline is for."),
			"execution_mode": text("How executions meet: `SUPERSEDED`, `QUEUED` or `PARALLEL`."),
			"composition":    text("`inline`, or `composed` of stages and actions that are objects of their own."),
			"publish":        text("When a composed pipeline gets a new version: `auto` or `explicit`. Null for an inline one."),
			"version": schema.Int64Attribute{
				Computed: true, MarkdownDescription: "Number of the newest published version; 0 while nothing was published.",
			},
			"unpublished_changes": schema.BoolAttribute{
				Computed: true, MarkdownDescription: "Whether stages or actions changed since the newest version.",
			},
			"variables": schema.ListNestedAttribute{
				Computed:            true,
				MarkdownDescription: "Variables of the pipeline.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"name":          text("Name of the variable."),
					"default_value": text("Value where the start of an execution gives none. Null where it must be given."),
					"description":   text("What the variable is for."),
				}},
			},
			"stages": schema.ListNestedAttribute{
				Computed:            true,
				MarkdownDescription: "Stages, in order.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"name": text("Name of the stage."),
					"actions": schema.ListNestedAttribute{
						Computed:            true,
						MarkdownDescription: "Actions of the stage.",
						NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
							"name":     text("Name of the action."),
							"category": text("Kind of the action."),
							"owner":    text("Owner of the action type."),
							"provider": text("Action provider."),
							"version":  text("Version of the action type."),
							"run_order": schema.Int64Attribute{
								Computed: true, MarkdownDescription: "Place among the actions of the stage.",
							},
							"namespace": text("Where later actions find its output variables."),
						}},
					},
				}},
			},
		},
	}
}

// Read reads the pipeline.
func (d *DataSource) Read(ctx context.Context, request datasource.ReadRequest, response *datasource.ReadResponse) {
	var config dataModel
	response.Diagnostics.Append(request.Config.Get(ctx, &config)...)
	if response.Diagnostics.HasError() {
		return
	}
	summary := fmt.Sprintf("Cannot read pipeline %q", config.Name.ValueString())
	backend, err := d.session.Client()
	if err != nil {
		response.Diagnostics.AddError(summary, err.Error())
		return
	}
	account := d.session.Account(config.Account).ValueString()
	answer, err := backend.Pipelines.GetPipeline(ctx, &headracev1.GetPipelineRequest{
		Name: client.PipelineName(account, config.Name.ValueString()),
	})
	if err != nil {
		response.Diagnostics.AddError(summary, client.Describe(err))
		return
	}
	response.Diagnostics.Append(response.State.Set(ctx, dataModelOf(answer.GetPipeline()))...)
}

func dataModelOf(pipeline *headracev1.Pipeline) dataModel {
	def := pipelinepb.FromProto(pipeline.GetDefinition())
	m := dataModel{
		ID:                 types.StringValue(pipeline.GetName()),
		Account:            types.StringValue(client.Segment(pipeline.GetName(), "accounts")),
		Name:               types.StringValue(client.Segment(pipeline.GetName(), "pipelines")),
		Description:        values.FromText(def.Description),
		ExecutionMode:      types.StringValue(string(def.Mode())),
		Composition:        types.StringValue("inline"),
		Publish:            publishOf(pipeline),
		Version:            types.Int64Value(pipeline.GetVersion()),
		UnpublishedChanges: types.BoolValue(pipeline.GetUnpublishedChanges()),
		Variables:          []dataVar{},
		Stages:             []dataStage{},
	}
	if pipeline.GetComposition() == headracev1.Composition_COMPOSITION_COMPOSED {
		m.Composition = types.StringValue("composed")
	}
	for _, variable := range def.Variables {
		m.Variables = append(m.Variables, dataVar{
			Name:         types.StringValue(variable.Name),
			DefaultValue: types.StringPointerValue(variable.DefaultValue),
			Description:  values.FromText(variable.Description),
		})
	}
	for _, stage := range def.Stages {
		actions := []dataAction{}
		for _, action := range stage.Actions {
			actions = append(actions, dataAction{
				Name:      types.StringValue(action.Name),
				Category:  types.StringValue(string(action.Category)),
				Owner:     types.StringValue(action.Owner),
				Provider:  types.StringValue(action.Provider),
				Version:   types.StringValue(action.Version),
				RunOrder:  types.Int64Value(int64(action.Order())),
				Namespace: values.FromText(action.Namespace),
			})
		}
		m.Stages = append(m.Stages, dataStage{Name: types.StringValue(stage.Name), Actions: actions})
	}
	return m
}

var _ datasource.DataSourceWithConfigure = (*DataSource)(nil)
