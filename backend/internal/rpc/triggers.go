package rpc

import (
	"context"
	"fmt"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/pipelinepb"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

// triggers serves TriggerService.
type triggers struct {
	headracev1.UnimplementedTriggerServiceServer
	use       *service.Triggers
	decisions *service.Decisions
}

// CreateTrigger implements TriggerService.
func (s *triggers) CreateTrigger(ctx context.Context, req *headracev1.CreateTriggerRequest) (*headracev1.CreateTriggerResponse, error) {
	t, err := declaredFromProto(req.GetTrigger())
	if err != nil {
		return nil, err
	}
	created, err := s.use.Create(ctx, caller(ctx), t, req.GetRequestId(), req.GetValidateOnly())
	if err != nil {
		return nil, err
	}
	return &headracev1.CreateTriggerResponse{Trigger: declaredToProto(created)}, nil
}

// GetTrigger implements TriggerService.
func (s *triggers) GetTrigger(ctx context.Context, req *headracev1.GetTriggerRequest) (*headracev1.GetTriggerResponse, error) {
	name, err := named(pipeline.ParseTriggerName, req.GetName(), "name")
	if err != nil {
		return nil, err
	}
	err = s.use.ConfirmCreate(ctx, caller(ctx), service.Created{
		Account: name.Account, Method: "CreateTrigger", Resource: name.String(), RequestID: req.GetConfirmRequestId(),
	})
	if err != nil {
		return nil, err
	}
	t, err := s.use.Get(ctx, caller(ctx), name)
	if err != nil {
		return nil, err
	}
	return &headracev1.GetTriggerResponse{Trigger: declaredToProto(t)}, nil
}

// accountOrPipeline reads a parent that is an account or a pipeline.
func accountOrPipeline(parent string) (account, name string, err error) {
	if account, err := pipeline.ParseAccountName(parent); err == nil {
		return account.Account, "", nil
	}
	of, err := named(pipeline.ParsePipelineName, parent, "parent")
	return of.Account, of.Pipeline, err
}

// ListTriggers implements TriggerService.
func (s *triggers) ListTriggers(ctx context.Context, req *headracev1.ListTriggersRequest) (*headracev1.ListTriggersResponse, error) {
	account, of, err := accountOrPipeline(req.GetParent())
	if err != nil {
		return nil, err
	}
	after, err := pageKey(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	found, next, err := s.use.List(ctx, caller(ctx), account, of, after, pageSize(req.GetPageSize(), defaultPage))
	if err != nil {
		return nil, err
	}
	return &headracev1.ListTriggersResponse{Triggers: each(found, declaredToProto), NextPageToken: pageToken(next)}, nil
}

// UpdateTrigger implements TriggerService.
func (s *triggers) UpdateTrigger(ctx context.Context, req *headracev1.UpdateTriggerRequest) (*headracev1.UpdateTriggerResponse, error) {
	t, err := declaredFromProto(req.GetTrigger())
	if err != nil {
		return nil, err
	}
	declared := func(t ledger.Trigger) *headracev1.DeclaredTrigger {
		return declaredToProto(service.TriggerView{Trigger: t})
	}
	updated, err := s.use.Update(ctx, caller(ctx), t, req.GetTrigger().GetEtag(), req.GetValidateOnly(),
		refuseClearing(ctx, req, fmt.Sprintf("trigger %q", t.Name), declared))
	if err != nil {
		return nil, err
	}
	return &headracev1.UpdateTriggerResponse{Trigger: declaredToProto(updated)}, nil
}

// DeleteTrigger implements TriggerService.
func (s *triggers) DeleteTrigger(ctx context.Context, req *headracev1.DeleteTriggerRequest) (*headracev1.DeleteTriggerResponse, error) {
	name, err := named(pipeline.ParseTriggerName, req.GetName(), "name")
	if err != nil {
		return nil, err
	}
	if err := s.use.Delete(ctx, caller(ctx), name, req.GetEtag()); err != nil {
		return nil, err
	}
	return &headracev1.DeleteTriggerResponse{}, nil
}

// PauseTrigger implements TriggerService.
func (s *triggers) PauseTrigger(ctx context.Context, req *headracev1.PauseTriggerRequest) (*headracev1.PauseTriggerResponse, error) {
	name, err := named(pipeline.ParseTriggerName, req.GetName(), "name")
	if err != nil {
		return nil, err
	}
	t, err := s.use.Pause(ctx, caller(ctx), name, req.GetReason())
	if err != nil {
		return nil, err
	}
	return &headracev1.PauseTriggerResponse{Trigger: declaredToProto(t)}, nil
}

// ResumeTrigger implements TriggerService.
func (s *triggers) ResumeTrigger(ctx context.Context, req *headracev1.ResumeTriggerRequest) (*headracev1.ResumeTriggerResponse, error) {
	name, err := named(pipeline.ParseTriggerName, req.GetName(), "name")
	if err != nil {
		return nil, err
	}
	t, err := s.use.Resume(ctx, caller(ctx), name)
	if err != nil {
		return nil, err
	}
	return &headracev1.ResumeTriggerResponse{Trigger: declaredToProto(t)}, nil
}

// ListTriggerDecisions implements TriggerService.
func (s *triggers) ListTriggerDecisions(ctx context.Context, req *headracev1.ListTriggerDecisionsRequest) (*headracev1.ListTriggerDecisionsResponse, error) {
	query := service.DecisionsQuery{Commit: req.GetCommit(), Ref: req.GetRef(), Size: pageSize(req.GetPageSize(), defaultPage)}
	if name, err := pipeline.ParseTriggerName(req.GetParent()); err == nil {
		query.Account, query.Trigger = name.Account, &name
	} else if query.Account, query.Pipeline, err = accountOrPipeline(req.GetParent()); err != nil {
		return nil, err
	}
	var err error
	if query.Before, err = pageKey(req.GetPageToken()); err != nil {
		return nil, err
	}
	found, next, err := s.decisions.List(ctx, caller(ctx), query)
	if err != nil {
		return nil, err
	}
	return &headracev1.ListTriggerDecisionsResponse{Decisions: each(found, decisionToProto), NextPageToken: pageToken(next)}, nil
}

// ExplainTrigger implements TriggerService.
func (s *triggers) ExplainTrigger(ctx context.Context, req *headracev1.ExplainTriggerRequest) (*headracev1.ExplainTriggerResponse, error) {
	of, err := named(pipeline.ParsePipelineName, req.GetPipeline(), "pipeline")
	if err != nil {
		return nil, err
	}
	about := service.ExplainQuery{Account: of.Account, Pipeline: of.Pipeline, Commit: req.GetCommit(), Ref: req.GetRef()}
	if req.GetDelivery() != "" {
		name, err := named(pipeline.ParseDeliveryName, req.GetDelivery(), "delivery")
		if err != nil {
			return nil, err
		}
		about.Delivery = &name
	}
	explained, err := s.decisions.Explain(ctx, caller(ctx), about)
	if err != nil {
		return nil, err
	}
	return &headracev1.ExplainTriggerResponse{
		Summary: explained.Summary, Decisions: each(explained.Decisions, decisionToProto),
		Steps: each(explained.Steps, func(step service.ExplainedStep) *headracev1.ExplainedStep {
			return &headracev1.ExplainedStep{Step: string(step.Step), Ok: step.OK, Message: step.Message, NextStep: step.NextStep}
		}),
	}, nil
}

// TestTrigger implements TriggerService.
func (s *triggers) TestTrigger(ctx context.Context, req *headracev1.TestTriggerRequest) (*headracev1.TestTriggerResponse, error) {
	name, err := named(pipeline.ParseTriggerName, req.GetName(), "name")
	if err != nil {
		return nil, err
	}
	decisions, err := s.decisions.Test(ctx, caller(ctx), name, service.TestEvent{
		Event: req.GetEvent(), Body: req.GetBody(), Headers: req.GetHeaders(), Files: req.GetChangedFiles(),
	})
	if err != nil {
		return nil, err
	}
	return &headracev1.TestTriggerResponse{Decisions: each(decisions, decisionToProto)}, nil
}

// Backfill implements TriggerService.
func (s *triggers) Backfill(ctx context.Context, req *headracev1.BackfillRequest) (*headracev1.BackfillResponse, error) {
	query := service.BackfillQuery{}
	if name, err := pipeline.ParseTriggerName(req.GetParent()); err == nil {
		query.Account, query.Trigger = name.Account, &name
	} else if query.Account, query.Pipeline, err = accountOrPipeline(req.GetParent()); err != nil {
		return nil, err
	}
	found, err := s.decisions.Backfill(ctx, caller(ctx), query)
	if err != nil {
		return nil, err
	}
	return &headracev1.BackfillResponse{Repositories: each(found, func(r service.Backfilled) *headracev1.BackfilledRepository {
		p := &headracev1.BackfilledRepository{
			Repository: r.Repository, MovedRefs: int32(r.Moved), Redelivered: int32(r.Redelivered), Problem: r.Problem,
		}
		if r.Connection != "" {
			p.Connection = connectionResource(query.Account, r.Connection)
		}
		return p
	})}, nil
}

func declaredFromProto(p *headracev1.DeclaredTrigger) (ledger.Trigger, error) {
	name, err := named(pipeline.ParseTriggerName, p.GetName(), "trigger", "name")
	if err != nil {
		return ledger.Trigger{}, err
	}
	of, err := named(pipeline.ParsePipelineName, p.GetPipeline(), "trigger", "pipeline")
	if err != nil {
		return ledger.Trigger{}, err
	}
	if of.Account != name.Account {
		return ledger.Trigger{}, invalidField(fmt.Sprintf("the pipeline is in account %q, and the trigger in account %q; both are in one account", of.Account, name.Account),
			"trigger", "pipeline")
	}
	t := ledger.Trigger{
		Account: name.Account, Owner: name.Pipeline, Name: name.Trigger, Pipeline: of.Pipeline,
		Declared: ledger.Declared{Description: p.GetDescription(), Variables: p.GetVariables()},
	}
	switch source := p.GetSource().(type) {
	case *headracev1.DeclaredTrigger_Git:
		t.Declared.Git, err = gitTriggerFromProto(name.Account, source.Git)
	case *headracev1.DeclaredTrigger_Webhook:
		t.Declared.Event, err = eventTriggerFromProto(name.Account, source.Webhook)
	default:
		err = invalidField("the source of the trigger is missing; give git or webhook", "trigger")
	}
	return t, err
}

func gitTriggerFromProto(account string, p *headracev1.GitTrigger) (*trigger.Git, error) {
	connection, err := connectionName(account, p.GetConnection(), "trigger", "git", "connection")
	if err != nil {
		return nil, err
	}
	git := &trigger.Git{
		Connection: connection, Repository: p.GetRepository(), SourceAction: p.GetSourceAction(),
		Push: pipelinepb.PushFiltersFromProto(p.GetPush()), PullRequest: pipelinepb.PullRequestFiltersFromProto(p.GetPullRequest()),
		SkipMarkers: p.SkipMarkers,
	}
	known := make([]bool, 4)
	git.NewBranch, known[0] = newBranchEnum.FromProto(p.GetNewBranch())
	git.MovedTag, known[1] = movedTagEnum.FromProto(p.GetMovedTag())
	git.OnUnknownDiff, known[2] = unknownDiffEnum.FromProto(p.GetOnUnknownDiff())
	git.Coalesce, known[3] = coalesceEnum.FromProto(p.GetCoalesce())
	for i, field := range []string{"new_branch", "moved_tag", "on_unknown_diff", "coalesce"} {
		if !known[i] {
			return nil, invalidField("this value is not known to this server", "trigger", "git", field)
		}
	}
	return git, nil
}

func eventTriggerFromProto(account string, p *headracev1.WebhookTrigger) (*trigger.Generic, error) {
	name, err := named(pipeline.ParseWebhookName, p.GetWebhook(), "trigger", "webhook", "webhook")
	if err != nil {
		return nil, err
	}
	if name.Account != account {
		return nil, invalidField("the webhook is in another account", "trigger", "webhook", "webhook")
	}
	event := &trigger.Generic{
		Webhook: name.Webhook, When: p.GetWhen(), SourceRevisions: p.GetSourceRevisions(), IdempotencyKey: p.GetIdempotencyKey(),
	}
	for _, f := range p.GetFilters() {
		event.Filters = append(event.Filters, trigger.GenericFilter{JSONPath: f.GetJsonPath(), MatchEquals: f.GetMatchEquals()})
	}
	return event, nil
}

func declaredToProto(v service.TriggerView) *headracev1.DeclaredTrigger {
	t := &v.Trigger
	p := &headracev1.DeclaredTrigger{
		Name: t.ResourceName(), Pipeline: pipeline.PipelineName{Account: t.Account, Pipeline: t.Pipeline}.String(),
		Description: t.Declared.Description, Variables: t.Declared.Variables, Inline: t.Inline(), Etag: t.Etag(),
		CreateTime: timestamp(t.CreatedAt), UpdateTime: timestamp(t.UpdatedAt), Warnings: each(v.Warnings, warningToProto),
	}
	switch {
	case t.Declared.Git != nil:
		p.Source = &headracev1.DeclaredTrigger_Git{Git: gitTriggerToProto(t.Account, t.Declared.Git)}
	case t.Declared.Event != nil:
		e := t.Declared.Event
		p.Source = &headracev1.DeclaredTrigger_Webhook{Webhook: &headracev1.WebhookTrigger{
			Webhook: pipeline.WebhookName{Account: t.Account, Webhook: e.Webhook}.String(), When: e.When,
			SourceRevisions: e.SourceRevisions, IdempotencyKey: e.IdempotencyKey,
			Filters: each(e.Filters, func(f trigger.GenericFilter) *headracev1.WebhookFilter {
				return &headracev1.WebhookFilter{JsonPath: f.JSONPath, MatchEquals: f.MatchEquals}
			}),
		}}
	}
	if t.Pause != nil {
		p.Pause = &headracev1.TriggerPause{Principal: t.Pause.Principal, Reason: t.Pause.Reason, PauseTime: timestamp(t.Pause.At)}
	}
	if v.Latest != nil {
		p.LatestDecision = decisionToProto(*v.Latest)
	}
	return p
}

func gitTriggerToProto(account string, git *trigger.Git) *headracev1.GitTrigger {
	p := &headracev1.GitTrigger{
		Repository: git.Repository, SourceAction: git.SourceAction,
		Push: pipelinepb.PushFiltersToProto(git.Push), PullRequest: pipelinepb.PullRequestFiltersToProto(git.PullRequest),
		NewBranch: newBranchEnum.ToProto(git.NewBranch), MovedTag: movedTagEnum.ToProto(git.MovedTag),
		OnUnknownDiff: unknownDiffEnum.ToProto(git.OnUnknownDiff), Coalesce: coalesceEnum.ToProto(git.Coalesce), SkipMarkers: git.SkipMarkers,
	}
	if git.Connection != "" {
		p.Connection = connectionResource(account, git.Connection)
	}
	return p
}

func decisionToProto(d ledger.Decision) *headracev1.TriggerDecision {
	p := &headracev1.TriggerDecision{
		Id: d.ID, Trigger: d.Trigger, Pipeline: d.Pipeline, DecideTime: timestamp(d.DecidedAt), Outcome: outcomeEnum.ToProto(d.Outcome),
		Reason: d.Reason, Message: d.Message, FoundBy: string(d.FoundBy), ReplayedBy: d.ReplayedBy, Pusher: d.Pusher, Forge: d.Forge.Title(), Ref: d.Ref, FromCommit: d.FromCommit, ToCommit: d.ToCommit,
		PullRequest: d.PullRequest, Repository: d.Repository,
		Filters: each(d.Filters, func(f ledger.FilterResult) *headracev1.FilterResult {
			return &headracev1.FilterResult{Entry: f.Entry, Matched: f.Matched, Message: f.Message}
		}),
	}
	if d.Execution != "" {
		p.Execution = pipeline.ExecutionName{PipelineName: pipeline.PipelineName{Account: d.Account, Pipeline: d.Pipeline}, ID: d.Execution}.String()
	}
	if d.DeliveryID != "" {
		p.Delivery = pipeline.DeliveryName{WebhookName: pipeline.WebhookName{Account: d.Account, Webhook: d.Webhook}, ID: d.DeliveryID}.String()
	}
	if d.Connection != "" {
		p.Connection = connectionResource(d.Account, d.Connection)
	}
	return p
}
