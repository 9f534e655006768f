package trigger

import (
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/pipelinepb"
	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
	"github.com/headrace/terraform-provider-headrace/internal/provider/definition"
	"github.com/headrace/terraform-provider-headrace/internal/provider/values"
)

// model is the resource as Terraform has it. One of the blocks has an element.
type model struct {
	ID          types.String   `tfsdk:"id"`
	Account     types.String   `tfsdk:"account"`
	Name        types.String   `tfsdk:"name"`
	Pipeline    types.String   `tfsdk:"pipeline"`
	Description types.String   `tfsdk:"description"`
	Git         []gitBlock     `tfsdk:"git"`
	Webhook     []webhookBlock `tfsdk:"webhook"`
	Variables   types.Map      `tfsdk:"variables"`
	ETag        types.String   `tfsdk:"etag"`
}

type gitBlock struct {
	Connection    types.String             `tfsdk:"connection"`
	Repository    types.String             `tfsdk:"repository"`
	SourceAction  types.String             `tfsdk:"source_action"`
	Push          []definition.Push        `tfsdk:"push"`
	PullRequest   []definition.PullRequest `tfsdk:"pull_request"`
	NewBranch     types.String             `tfsdk:"new_branch"`
	MovedTag      types.String             `tfsdk:"moved_tag"`
	SkipMarkers   types.Bool               `tfsdk:"skip_markers"`
	OnUnknownDiff types.String             `tfsdk:"on_unknown_diff"`
	Coalesce      types.String             `tfsdk:"coalesce"`
}

type webhookBlock struct {
	Webhook         types.String  `tfsdk:"webhook"`
	Filters         []filterBlock `tfsdk:"filter"`
	When            types.String  `tfsdk:"when"`
	SourceRevisions types.Map     `tfsdk:"source_revisions"`
	IdempotencyKey  types.String  `tfsdk:"idempotency_key"`
}

type filterBlock struct {
	JSONPath    types.String `tfsdk:"json_path"`
	MatchEquals types.String `tfsdk:"match_equals"`
}

// identity is what names a trigger for good.
type identity struct {
	Account types.String `tfsdk:"account"`
	Name    types.String `tfsdk:"name"`
}

func (m *model) identity() identity {
	return identity{Account: m.Account, Name: m.Name}
}

// resourceName returns what the backend calls the trigger. It does not rest on the id, which
// is only shown.
func (m *model) resourceName() string {
	return client.TriggerName(m.Account.ValueString(), m.Name.ValueString())
}

// domain returns what the rules of the domain check. Values may be unknown.
func (m *model) domain() *domain.Declaration {
	d := &domain.Declaration{Description: values.Text(m.Description), Variables: values.TextMap(m.Variables)}
	for i := range m.Git {
		b := &m.Git[i]
		d.Git = &domain.Git{
			Connection: values.Text(b.Connection), Repository: values.Text(b.Repository), SourceAction: values.Text(b.SourceAction),
			Push: definition.PushDomain(b.Push), PullRequest: definition.PullRequestDomain(b.PullRequest),
			NewBranch: domain.NewBranch(values.Text(b.NewBranch)), MovedTag: domain.MovedTag(values.Text(b.MovedTag)),
			OnUnknownDiff: domain.UnknownDiff(values.Text(b.OnUnknownDiff)), Coalesce: domain.Coalesce(values.Text(b.Coalesce)),
		}
	}
	for i := range m.Webhook {
		b := &m.Webhook[i]
		d.Generic = &domain.Generic{
			Webhook: values.Text(b.Webhook), When: values.Text(b.When),
			SourceRevisions: values.TextMap(b.SourceRevisions), IdempotencyKey: values.Text(b.IdempotencyKey),
		}
		for _, f := range b.Filters {
			d.Generic.Filters = append(d.Generic.Filters, domain.GenericFilter{JSONPath: values.Text(f.JSONPath), MatchEquals: values.Text(f.MatchEquals)})
		}
	}
	return d
}

// message returns the trigger to send, without an etag.
func (m *model) message() *headracev1.DeclaredTrigger {
	account := m.Account.ValueString()
	p := &headracev1.DeclaredTrigger{
		Name: m.resourceName(), Pipeline: client.PipelineName(account, m.Pipeline.ValueString()),
		Description: m.Description.ValueString(), Variables: values.TextMap(m.Variables),
	}
	for i := range m.Git {
		b := &m.Git[i]
		skips := b.SkipMarkers.ValueBool()
		git := &headracev1.GitTrigger{
			Repository: b.Repository.ValueString(), SourceAction: b.SourceAction.ValueString(),
			Push:        pipelinepb.PushFiltersToProto(definition.PushDomain(b.Push)),
			PullRequest: pipelinepb.PullRequestFiltersToProto(definition.PullRequestDomain(b.PullRequest)),
			SkipMarkers: &skips,
			NewBranch:   headracev1.NewBranch(number(headracev1.NewBranch_value, "NEW_BRANCH_", b.NewBranch)),
			MovedTag:    headracev1.MovedTag(number(headracev1.MovedTag_value, "MOVED_TAG_", b.MovedTag)),
			OnUnknownDiff: headracev1.UnknownDiff(
				number(headracev1.UnknownDiff_value, "UNKNOWN_DIFF_", b.OnUnknownDiff)),
			Coalesce: headracev1.Coalesce(number(headracev1.Coalesce_value, "COALESCE_", b.Coalesce)),
		}
		if b.Connection.ValueString() != "" {
			git.Connection = client.ConnectionName(account, b.Connection.ValueString())
		}
		p.Source = &headracev1.DeclaredTrigger_Git{Git: git}
	}
	for i := range m.Webhook {
		b := &m.Webhook[i]
		event := &headracev1.WebhookTrigger{
			Webhook: client.WebhookName(account, b.Webhook.ValueString()), When: b.When.ValueString(),
			SourceRevisions: values.TextMap(b.SourceRevisions), IdempotencyKey: b.IdempotencyKey.ValueString(),
		}
		for _, f := range b.Filters {
			event.Filters = append(event.Filters, &headracev1.WebhookFilter{JsonPath: f.JSONPath.ValueString(), MatchEquals: f.MatchEquals.ValueString()})
		}
		p.Source = &headracev1.DeclaredTrigger_Webhook{Webhook: event}
	}
	return p
}

// uses returns the names of the objects that the trigger rests on.
func (m *model) uses() []string {
	p := m.message()
	names := []string{p.GetPipeline()}
	for _, name := range []string{p.GetGit().GetConnection(), p.GetWebhook().GetWebhook()} {
		if name != "" {
			names = append(names, name)
		}
	}
	return names
}

// number returns the number of a value of an enum that is written as a word.
func number(values map[string]int32, prefix string, word types.String) int32 {
	return values[prefix+strings.ToUpper(word.ValueString())]
}

// word is the reverse of number. The value that is not specified is the usual one.
func word(name, prefix, usual string) types.String {
	name = strings.ToLower(strings.TrimPrefix(name, prefix))
	if name == "unspecified" {
		name = usual
	}
	return types.StringValue(name)
}

// modelOf returns what Terraform shows of a trigger. The choice between null and empty comes
// from prior.
func modelOf(t *headracev1.DeclaredTrigger, prior *model) *model {
	m := &model{
		ID:          types.StringValue(t.GetName()),
		Account:     types.StringValue(client.Segment(t.GetName(), "accounts")),
		Name:        types.StringValue(client.Segment(t.GetName(), "triggers")),
		Pipeline:    types.StringValue(client.Segment(t.GetPipeline(), "pipelines")),
		Description: values.FromText(t.GetDescription()),
		Variables:   values.FromTextMap(t.GetVariables(), prior.Variables),
		ETag:        types.StringValue(t.GetEtag()),
	}
	if git := t.GetGit(); git != nil {
		before := gitBlock{}
		if len(prior.Git) > 0 {
			before = prior.Git[0]
		}
		m.Git = []gitBlock{{
			Connection:    values.FromText(client.Segment(git.GetConnection(), "connections")),
			Repository:    values.FromText(git.GetRepository()),
			SourceAction:  types.StringValue(git.GetSourceAction()),
			Push:          definition.PushOf(pipelinepb.PushFiltersFromProto(git.GetPush()), before.Push),
			PullRequest:   definition.PullRequestOf(pipelinepb.PullRequestFiltersFromProto(git.GetPullRequest()), before.PullRequest),
			NewBranch:     word(git.GetNewBranch().String(), "NEW_BRANCH_", defaultNewBranch),
			MovedTag:      word(git.GetMovedTag().String(), "MOVED_TAG_", defaultMovedTag),
			SkipMarkers:   types.BoolValue(git.SkipMarkers == nil || git.GetSkipMarkers()),
			OnUnknownDiff: word(git.GetOnUnknownDiff().String(), "UNKNOWN_DIFF_", defaultUnknownDiff),
			Coalesce:      word(git.GetCoalesce().String(), "COALESCE_", defaultCoalesce),
		}}
	}
	if event := t.GetWebhook(); event != nil {
		before := webhookBlock{}
		if len(prior.Webhook) > 0 {
			before = prior.Webhook[0]
		}
		block := webhookBlock{
			Webhook:         types.StringValue(client.Segment(event.GetWebhook(), "webhooks")),
			When:            values.FromText(event.GetWhen()),
			SourceRevisions: values.FromTextMap(event.GetSourceRevisions(), before.SourceRevisions),
			IdempotencyKey:  values.FromText(event.GetIdempotencyKey()),
		}
		for _, f := range event.GetFilters() {
			block.Filters = append(block.Filters, filterBlock{JSONPath: types.StringValue(f.GetJsonPath()), MatchEquals: types.StringValue(f.GetMatchEquals())})
		}
		m.Webhook = []webhookBlock{block}
	}
	return m
}
