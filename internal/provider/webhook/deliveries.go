package webhook

import (
	"context"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/internal/provider/accountguard"
	"github.com/headrace/terraform-provider-headrace/internal/provider/session"
	"github.com/headrace/terraform-provider-headrace/internal/provider/values"
)

const (
	defaultLimit = 50
	maxLimit     = 1000
	// pageSize is the most that one call asks for.
	pageSize     = 100
	statusPrefix = "DELIVERY_STATUS_"
)

// Deliveries is the data source headrace_deliveries.
type Deliveries struct {
	session *session.Session
}

// NewDeliveries returns the data source of deliveries.
func NewDeliveries() datasource.DataSource {
	return accountguard.DataSource(&Deliveries{})
}

// deliveriesModel is the data source as Terraform has it.
type deliveriesModel struct {
	Account    types.String `tfsdk:"account"`
	Webhook    types.String `tfsdk:"webhook"`
	Status     types.String `tfsdk:"status"`
	Limit      types.Int64  `tfsdk:"limit"`
	Deliveries []delivery   `tfsdk:"deliveries"`
}

type delivery struct {
	ID          types.String `tfsdk:"id"`
	Webhook     types.String `tfsdk:"webhook"`
	ExternalID  types.String `tfsdk:"external_id"`
	Event       types.String `tfsdk:"event"`
	Repository  types.String `tfsdk:"repository"`
	Pusher      types.String `tfsdk:"pusher"`
	ReceiveTime types.String `tfsdk:"receive_time"`
	Status      types.String `tfsdk:"status"`
	Reason      types.String `tfsdk:"reason"`
	Message     types.String `tfsdk:"message"`
	Address     types.String `tfsdk:"address"`
	Count       types.Int64  `tfsdk:"count"`
	Attempts    types.Int64  `tfsdk:"attempts"`
	BodySize    types.Int64  `tfsdk:"body_size"`
	Executions  types.List   `tfsdk:"executions"`
}

// Metadata returns the name of the data source type.
func (d *Deliveries) Metadata(
	_ context.Context, request datasource.MetadataRequest, response *datasource.MetadataResponse,
) {
	response.TypeName = request.ProviderTypeName + "_deliveries"
}

// Configure takes what the provider hands out.
func (d *Deliveries) Configure(
	_ context.Context, request datasource.ConfigureRequest, response *datasource.ConfigureResponse,
) {
	d.session = session.FromDataSource(request, response)
}

// Schema returns the arguments and what is read.
func (d *Deliveries) Schema(_ context.Context, _ datasource.SchemaRequest, response *datasource.SchemaResponse) {
	text := func(description string) schema.Attribute {
		return schema.StringAttribute{Computed: true, MarkdownDescription: description}
	}
	whole := func(description string) schema.Attribute {
		return schema.Int64Attribute{Computed: true, MarkdownDescription: description}
	}
	response.Schema = schema.Schema{
		MarkdownDescription: "The deliveries to a webhook, or to all webhooks of an account, newest first and without their bodies. `headrace " +
			"trigger deliveries` shows the same. Deliveries are kept for 90 days.",
		Attributes: map[string]schema.Attribute{
			"account": schema.StringAttribute{
				Optional: true, Computed: true,
				MarkdownDescription: "Account of the webhooks. Defaults to the provider's account.",
			},
			"webhook": schema.StringAttribute{
				Optional:            true,
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
				MarkdownDescription: "Name of the webhook. If not set, the deliveries to all webhooks are read.",
			},
			"status": schema.StringAttribute{
				Optional:            true,
				Validators:          []validator.String{stringvalidator.OneOf("ACCEPTED", "IGNORED", "REFUSED")},
				MarkdownDescription: "Only deliveries with this status: `ACCEPTED`, `IGNORED` or `REFUSED`.",
			},
			"limit": schema.Int64Attribute{
				Optional:            true,
				Validators:          []validator.Int64{int64validator.Between(1, maxLimit)},
				MarkdownDescription: "Number of deliveries to read at most, 1 to 1000. Defaults to 50.",
			},
			"deliveries": schema.ListNestedAttribute{
				Computed:            true,
				MarkdownDescription: "The deliveries, newest first.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"id":           text("Id of the delivery, which `headrace trigger explain` and `replay` take."),
					"webhook":      text("Name of the webhook."),
					"external_id":  text("Id that the sender gave the delivery."),
					"event":        text("Name that the forge gave the event, such as `push`."),
					"repository":   text("Repository that it is about. Null for a generic webhook."),
					"pusher":       text("User of the forge who caused the event, as the forge says. Null for a generic webhook."),
					"receive_time": text("When it arrived (RFC 3339, UTC)."),
					"status": text("`ACCEPTED`: verified and decided on; `IGNORED`: verified, and about nothing that triggers react to; `REFUSED`: " +
						"not verified or not readable."),
					"reason":    text("Machine-readable reason why it was refused or ignored; empty if it was accepted, or if an older server stored it."),
					"message":   text("Why it was refused or ignored."),
					"address":   text("Address that it came from."),
					"count":     whole("Number of refused requests, of the same address and reason, that the delivery stands for; 1 for others."),
					"attempts":  whole("Number of times that it arrived or was replayed."),
					"body_size": whole("Size of its body in bytes."),
					"executions": schema.ListAttribute{
						Computed: true, ElementType: types.StringType,
						MarkdownDescription: "Resource names of the executions that it started, or that the same change had started before.",
					},
				}},
			},
		},
	}
}

// Read reads the deliveries.
func (d *Deliveries) Read(ctx context.Context, request datasource.ReadRequest, response *datasource.ReadResponse) {
	var config deliveriesModel
	response.Diagnostics.Append(request.Config.Get(ctx, &config)...)
	if response.Diagnostics.HasError() {
		return
	}
	backend, err := d.session.Client()
	if err != nil {
		response.Diagnostics.AddError("Cannot read deliveries", err.Error())
		return
	}
	config.Account = d.session.Account(config.Account)
	found, err := listDeliveries(ctx, backend, &config)
	if err != nil {
		response.Diagnostics.AddError("Cannot read deliveries", client.Describe(err))
		return
	}
	config.Deliveries = []delivery{}
	for _, one := range found {
		config.Deliveries = append(config.Deliveries, deliveryOf(one))
	}
	response.Diagnostics.Append(response.State.Set(ctx, config)...)
}

// listDeliveries returns the deliveries that the configuration means.
func listDeliveries(ctx context.Context, backend *client.Client, config *deliveriesModel) ([]*headracev1.Delivery, error) {
	request := &headracev1.ListDeliveriesRequest{Parent: client.AccountName(config.Account.ValueString())}
	if !config.Webhook.IsNull() {
		request.Parent = client.WebhookName(config.Account.ValueString(), config.Webhook.ValueString())
	}
	if !config.Status.IsNull() {
		request.Status = headracev1.DeliveryStatus(headracev1.DeliveryStatus_value[statusPrefix+config.Status.ValueString()])
	}
	left := defaultLimit
	if !config.Limit.IsNull() {
		left = int(config.Limit.ValueInt64())
	}
	var deliveries []*headracev1.Delivery
	for {
		request.PageSize = int32(min(left, pageSize))
		page, err := backend.Webhooks.ListDeliveries(ctx, request)
		if err != nil {
			return nil, err
		}
		deliveries = append(deliveries, page.GetDeliveries()...)
		left -= len(page.GetDeliveries())
		request.PageToken = page.GetNextPageToken()
		if left <= 0 || request.PageToken == "" {
			return deliveries, nil
		}
	}
}

func deliveryOf(d *headracev1.Delivery) delivery {
	var executions []string
	for _, decision := range d.GetDecisions() {
		if decision.GetExecution() != "" {
			executions = append(executions, decision.GetExecution())
		}
	}
	return delivery{
		ID:          types.StringValue(client.Segment(d.GetName(), "deliveries")),
		Webhook:     types.StringValue(client.Segment(d.GetName(), "webhooks")),
		ExternalID:  values.FromText(d.GetExternalId()),
		Event:       values.FromText(d.GetEvent()),
		Repository:  values.FromText(d.GetRepository()),
		Pusher:      values.FromText(d.GetPusher()),
		ReceiveTime: values.FromTime(d.GetReceiveTime()),
		Status:      types.StringValue(strings.TrimPrefix(d.GetStatus().String(), statusPrefix)),
		Reason:      types.StringValue(d.GetReason()),
		Message:     values.FromText(d.GetMessage()),
		Address:     values.FromText(d.GetAddress()),
		Count:       types.Int64Value(d.GetCount()),
		Attempts:    types.Int64Value(d.GetAttempts()),
		BodySize:    types.Int64Value(d.GetBodySize()),
		Executions:  values.ListOf(executions),
	}
}

var _ datasource.DataSourceWithConfigure = (*Deliveries)(nil)
