package trigger

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
	pageSize = 100
	// minCommit is as many digits of a commit as the server wants.
	minCommit = 7
)

// Decisions is the data source headrace_trigger_decisions.
type Decisions struct {
	session *session.Session
}

// NewDecisions returns the data source of decisions.
func NewDecisions() datasource.DataSource {
	return accountguard.DataSource(&Decisions{})
}

// decisionsModel is the data source as Terraform has it.
type decisionsModel struct {
	Account   types.String `tfsdk:"account"`
	Pipeline  types.String `tfsdk:"pipeline"`
	Trigger   types.String `tfsdk:"trigger"`
	Commit    types.String `tfsdk:"commit"`
	Ref       types.String `tfsdk:"ref"`
	Limit     types.Int64  `tfsdk:"limit"`
	Decisions []decision   `tfsdk:"decisions"`
}

type decision struct {
	ID          types.String   `tfsdk:"id"`
	Trigger     types.String   `tfsdk:"trigger"`
	Pipeline    types.String   `tfsdk:"pipeline"`
	DecideTime  types.String   `tfsdk:"decide_time"`
	Outcome     types.String   `tfsdk:"outcome"`
	Reason      types.String   `tfsdk:"reason"`
	Message     types.String   `tfsdk:"message"`
	Execution   types.String   `tfsdk:"execution"`
	Delivery    types.String   `tfsdk:"delivery"`
	FoundBy     types.String   `tfsdk:"found_by"`
	ReplayedBy  types.String   `tfsdk:"replayed_by"`
	Pusher      types.String   `tfsdk:"pusher"`
	Connection  types.String   `tfsdk:"connection"`
	Repository  types.String   `tfsdk:"repository"`
	Ref         types.String   `tfsdk:"ref"`
	FromCommit  types.String   `tfsdk:"from_commit"`
	ToCommit    types.String   `tfsdk:"to_commit"`
	PullRequest types.Int64    `tfsdk:"pull_request"`
	Filters     []filterResult `tfsdk:"filters"`
}

type filterResult struct {
	Entry   types.String `tfsdk:"entry"`
	Matched types.Bool   `tfsdk:"matched"`
	Message types.String `tfsdk:"message"`
}

// Metadata returns the name of the data source type.
func (d *Decisions) Metadata(
	_ context.Context, request datasource.MetadataRequest, response *datasource.MetadataResponse,
) {
	response.TypeName = request.ProviderTypeName + "_trigger_decisions"
}

// Configure takes what the provider hands out.
func (d *Decisions) Configure(
	_ context.Context, request datasource.ConfigureRequest, response *datasource.ConfigureResponse,
) {
	d.session = session.FromDataSource(request, response)
}

// Schema returns the arguments and what is read.
func (d *Decisions) Schema(_ context.Context, _ datasource.SchemaRequest, response *datasource.SchemaResponse) {
	text := func(description string) schema.Attribute {
		return schema.StringAttribute{Computed: true, MarkdownDescription: description}
	}
	given := func(description string, least int) schema.Attribute {
		return schema.StringAttribute{
			Optional: true, Validators: []validator.String{stringvalidator.LengthAtLeast(least)}, MarkdownDescription: description,
		}
	}
	response.Schema = schema.Schema{
		MarkdownDescription: "What triggers decided on changes and events, newest first: what started an execution, and why the rest started " +
			"none. `headrace trigger explain` says more about one commit. Decisions are kept for 90 days.",
		Attributes: map[string]schema.Attribute{
			"account": schema.StringAttribute{
				Optional: true, Computed: true,
				MarkdownDescription: "Account of the triggers. Defaults to the provider's account.",
			},
			"pipeline": given("Name of the pipeline. If neither `pipeline` nor `trigger` is set, the decisions of all triggers are read.", 1),
			"trigger": given("Name of the `headrace_trigger`. With `pipeline`, the trigger that belongs to the pipeline, which has the name of its "+
				"source action.", 1),
			"commit": given("Only decisions on this commit, at least its first 7 digits.", minCommit),
			"ref":    given("Only decisions on this branch or tag, such as `refs/heads/main`.", 1),
			"limit": schema.Int64Attribute{
				Optional:            true,
				Validators:          []validator.Int64{int64validator.Between(1, maxLimit)},
				MarkdownDescription: "Number of decisions to read at most, 1 to 1000. Defaults to 50.",
			},
			"decisions": schema.ListNestedAttribute{
				Computed:            true,
				MarkdownDescription: "The decisions, newest first.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"id":          text("Id of the decision, unique in the account."),
					"trigger":     text("Resource name of the trigger, which may not exist anymore."),
					"pipeline":    text("Name of the pipeline."),
					"decide_time": text("When it was decided (RFC 3339, UTC)."),
					"outcome": text("`STARTED`, `NOT_STARTED`, `DUPLICATE` (the same change had started an execution before), `PENDING` (the server " +
						"determines changed files or asks the remote) or `FAILED` (the start was refused)."),
					"reason":      text("Reason for programs, such as `BRANCH_EXCLUDED`."),
					"message":     text("Reason as a sentence, with the pattern and the path that decided."),
					"execution":   text("Resource name of the execution that it started, or that the same change had started before."),
					"delivery":    text("Resource name of the delivery that reported the change. Null if a poll found it."),
					"found_by":    text("How the change was found: `WEBHOOK`, `POLL`, `BACKFILL`, `BASELINE` or `REPLAY`."),
					"replayed_by": text("User that replayed the delivery, who counts as the starter in approvals. Null if nobody did."),
					"pusher": text("User of the forge who pushed, or acted on the pull request, as the delivery says. Not a user of Headrace. Null if a " +
						"poll found the change."),
					"connection":  text("Name of the connection. Null for events of a generic webhook, like all that follow but `filters`."),
					"repository":  text("Repository."),
					"ref":         text("Branch or tag, such as `refs/heads/main`."),
					"from_commit": text("Commit that the branch or tag had before."),
					"to_commit":   text("Commit that it has since the change."),
					"pull_request": schema.Int64Attribute{
						Computed: true, MarkdownDescription: "Number of the pull request, null for a push.",
					},
					"filters": schema.ListNestedAttribute{
						Computed:            true,
						MarkdownDescription: "The filter entries that were tried.",
						NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
							"entry":   text("Place of the entry, such as `push[0]`."),
							"matched": schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether it matched."},
							"message": text("What decided, as a sentence."),
						}},
					},
				}},
			},
		},
	}
}

// Read reads the decisions.
func (d *Decisions) Read(ctx context.Context, request datasource.ReadRequest, response *datasource.ReadResponse) {
	var config decisionsModel
	response.Diagnostics.Append(request.Config.Get(ctx, &config)...)
	if response.Diagnostics.HasError() {
		return
	}
	backend, err := d.session.Client()
	if err != nil {
		response.Diagnostics.AddError("Cannot read decisions of triggers", err.Error())
		return
	}
	config.Account = d.session.Account(config.Account)
	found, err := listDecisions(ctx, backend, &config)
	if err != nil {
		response.Diagnostics.AddError("Cannot read decisions of triggers", client.Describe(err))
		return
	}
	config.Decisions = []decision{}
	for _, one := range found {
		config.Decisions = append(config.Decisions, decisionOf(one))
	}
	response.Diagnostics.Append(response.State.Set(ctx, config)...)
}

// parent returns what the decisions are read of.
func (m *decisionsModel) parent() string {
	account := m.Account.ValueString()
	switch {
	case m.Pipeline.IsNull() && m.Trigger.IsNull():
		return client.AccountName(account)
	case m.Trigger.IsNull():
		return client.PipelineName(account, m.Pipeline.ValueString())
	case m.Pipeline.IsNull():
		return client.TriggerName(account, m.Trigger.ValueString())
	}
	return client.InlineTriggerName(account, m.Pipeline.ValueString(), m.Trigger.ValueString())
}

// listDecisions returns the decisions that the configuration means.
func listDecisions(ctx context.Context, backend *client.Client, config *decisionsModel) ([]*headracev1.TriggerDecision, error) {
	request := &headracev1.ListTriggerDecisionsRequest{
		Parent: config.parent(), Commit: config.Commit.ValueString(), Ref: config.Ref.ValueString(),
	}
	left := defaultLimit
	if !config.Limit.IsNull() {
		left = int(config.Limit.ValueInt64())
	}
	var decisions []*headracev1.TriggerDecision
	for {
		request.PageSize = int32(min(left, pageSize))
		page, err := backend.Triggers.ListTriggerDecisions(ctx, request)
		if err != nil {
			return nil, err
		}
		decisions = append(decisions, page.GetDecisions()...)
		left -= len(page.GetDecisions())
		request.PageToken = page.GetNextPageToken()
		if left <= 0 || request.PageToken == "" {
			return decisions, nil
		}
	}
}

func decisionOf(d *headracev1.TriggerDecision) decision {
	one := decision{
		ID:          types.StringValue(d.GetId()),
		Trigger:     values.FromText(d.GetTrigger()),
		Pipeline:    values.FromText(d.GetPipeline()),
		DecideTime:  values.FromTime(d.GetDecideTime()),
		Outcome:     types.StringValue(strings.TrimPrefix(d.GetOutcome().String(), "TRIGGER_OUTCOME_")),
		Reason:      values.FromText(d.GetReason()),
		Message:     values.FromText(d.GetMessage()),
		Execution:   values.FromText(d.GetExecution()),
		Delivery:    values.FromText(d.GetDelivery()),
		FoundBy:     values.FromText(d.GetFoundBy()),
		ReplayedBy:  values.FromText(d.GetReplayedBy()),
		Pusher:      values.FromText(d.GetPusher()),
		Connection:  values.FromText(client.Segment(d.GetConnection(), "connections")),
		Repository:  values.FromText(d.GetRepository()),
		Ref:         values.FromText(d.GetRef()),
		FromCommit:  values.FromText(d.GetFromCommit()),
		ToCommit:    values.FromText(d.GetToCommit()),
		PullRequest: values.FromWhole(int(d.GetPullRequest())),
		Filters:     []filterResult{},
	}
	for _, f := range d.GetFilters() {
		one.Filters = append(one.Filters, filterResult{
			Entry: types.StringValue(f.GetEntry()), Matched: types.BoolValue(f.GetMatched()), Message: values.FromText(f.GetMessage()),
		})
	}
	return one
}

var _ datasource.DataSourceWithConfigure = (*Decisions)(nil)
