package rpc

import (
	"context"
	"fmt"
	"time"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/approval"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// approvalRules serves ApprovalRuleService.
type approvalRules struct {
	headracev1.UnimplementedApprovalRuleServiceServer
	use *service.ApprovalRules
}

// CreateApprovalRule implements ApprovalRuleService.
func (s *approvalRules) CreateApprovalRule(
	ctx context.Context, req *headracev1.CreateApprovalRuleRequest,
) (*headracev1.CreateApprovalRuleResponse, error) {
	rule, err := ruleFromProto(req.GetApprovalRule())
	if err != nil {
		return nil, err
	}
	created, err := s.use.Create(ctx, caller(ctx), rule, req.GetRequestId(), req.GetValidateOnly())
	if err != nil {
		return nil, err
	}
	return &headracev1.CreateApprovalRuleResponse{ApprovalRule: viewToProto(created)}, nil
}

// GetApprovalRule implements ApprovalRuleService.
func (s *approvalRules) GetApprovalRule(
	ctx context.Context, req *headracev1.GetApprovalRuleRequest,
) (*headracev1.GetApprovalRuleResponse, error) {
	name, err := named(pipeline.ParseApprovalRuleName, req.GetName(), "name")
	if err != nil {
		return nil, err
	}
	err = s.use.ConfirmCreate(ctx, caller(ctx), service.Created{
		Account: name.Account, Method: "CreateApprovalRule", Resource: name.String(), RequestID: req.GetConfirmRequestId(),
	})
	if err != nil {
		return nil, err
	}
	rule, err := s.use.Get(ctx, caller(ctx), name.Account, name.Rule)
	if err != nil {
		return nil, err
	}
	return &headracev1.GetApprovalRuleResponse{ApprovalRule: viewToProto(rule)}, nil
}

// ListApprovalRules implements ApprovalRuleService.
func (s *approvalRules) ListApprovalRules(
	ctx context.Context, req *headracev1.ListApprovalRulesRequest,
) (*headracev1.ListApprovalRulesResponse, error) {
	parent, err := named(pipeline.ParseAccountName, req.GetParent(), "parent")
	if err != nil {
		return nil, err
	}
	after, err := pageKey(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	rules, next, err := s.use.List(ctx, caller(ctx), parent.Account, after, pageSize(req.GetPageSize(), defaultPage))
	if err != nil {
		return nil, err
	}
	return &headracev1.ListApprovalRulesResponse{ApprovalRules: each(rules, viewToProto), NextPageToken: pageToken(next)}, nil
}

// UpdateApprovalRule implements ApprovalRuleService.
func (s *approvalRules) UpdateApprovalRule(
	ctx context.Context, req *headracev1.UpdateApprovalRuleRequest,
) (*headracev1.UpdateApprovalRuleResponse, error) {
	rule, err := ruleFromProto(req.GetApprovalRule())
	if err != nil {
		return nil, err
	}
	updated, err := s.use.Update(ctx, caller(ctx), rule, req.GetApprovalRule().GetEtag(), req.GetValidateOnly(),
		refuseClearing(ctx, req, fmt.Sprintf("approval rule %q", rule.Name), ruleToProto))
	if err != nil {
		return nil, err
	}
	return &headracev1.UpdateApprovalRuleResponse{ApprovalRule: viewToProto(updated)}, nil
}

// DeleteApprovalRule implements ApprovalRuleService.
func (s *approvalRules) DeleteApprovalRule(
	ctx context.Context, req *headracev1.DeleteApprovalRuleRequest,
) (*headracev1.DeleteApprovalRuleResponse, error) {
	name, err := named(pipeline.ParseApprovalRuleName, req.GetName(), "name")
	if err != nil {
		return nil, err
	}
	if err := s.use.Delete(ctx, caller(ctx), name.Account, name.Rule, req.GetEtag()); err != nil {
		return nil, err
	}
	return &headracev1.DeleteApprovalRuleResponse{}, nil
}

func ruleFromProto(p *headracev1.ApprovalRule) (approval.Rule, error) {
	name, err := named(pipeline.ParseApprovalRuleName, p.GetName(), "approval_rule", "name")
	if err != nil {
		return approval.Rule{}, err
	}
	var supersede bool
	switch p.GetNewerExecution() {
	case headracev1.NewerExecution_NEWER_EXECUTION_UNSPECIFIED, headracev1.NewerExecution_NEWER_EXECUTION_WAIT:
	case headracev1.NewerExecution_NEWER_EXECUTION_SUPERSEDE:
		supersede = true
	default:
		return approval.Rule{}, invalidField("this is not known; use WAIT or SUPERSEDE", "approval_rule", "newer_execution")
	}
	return approval.Rule{
		Account: name.Account, Name: name.Rule, Description: p.GetDescription(),
		Pipelines: p.GetSelector().GetPipelines(), Stages: p.GetSelector().GetStages(), Actions: p.GetSelector().GetActions(),
		Requirement: execution.Requirement{
			Rule: name.Rule, MinimumCount: int(p.GetMinimumCount()), Users: p.GetUsers(), Groups: p.GetGroups(),
			RequireComment: p.GetRequireComment(), AllowStarter: p.GetAllowStarter(),
			ExpireAfter: time.Duration(p.GetExpireAfterMinutes()) * time.Minute, Supersede: supersede,
		},
	}, nil
}

// viewToProto converts a rule with what it does now.
func viewToProto(v service.RuleView) *headracev1.ApprovalRule {
	p := ruleToProto(v.Rule)
	p.GuardCount = int32(v.GuardCount)
	p.Guards = each(v.Guards, func(g approval.Guard) *headracev1.GuardedPart {
		return &headracev1.GuardedPart{
			Pipeline: g.Pipeline, Stage: g.Stage, Action: g.Action, SkippedOnRollback: g.SkippedOnRollback,
		}
	})
	p.Warnings = each(v.Warnings, warningToProto)
	return p
}

func warningToProto(w service.Warning) *headracev1.Warning {
	warning := &headracev1.Warning{
		Field: w.Path.String(), Reason: string(w.Reason), Message: w.Message, ApprovalRule: w.Rule, SelectorEntry: w.Entry, Secret: w.Secret,
	}
	if w.Lost != nil {
		warning.Pipeline, warning.Stage, warning.Action = w.Lost.Pipeline, w.Lost.Stage, w.Lost.Action
	}
	return warning
}

func ruleToProto(r approval.Rule) *headracev1.ApprovalRule {
	newer := headracev1.NewerExecution_NEWER_EXECUTION_WAIT
	if r.Supersede {
		newer = headracev1.NewerExecution_NEWER_EXECUTION_SUPERSEDE
	}
	return &headracev1.ApprovalRule{
		Name:        pipeline.ApprovalRuleName{Account: r.Account, Rule: r.Name}.String(),
		Description: r.Description,
		Selector:    &headracev1.ApprovalSelector{Pipelines: r.Pipelines, Stages: r.Stages, Actions: r.Actions},

		MinimumCount: int32(r.MinimumCount), Users: r.Users, Groups: r.Groups, RequireComment: r.RequireComment,
		ExpireAfterMinutes: int32(r.ExpireAfter / time.Minute), AllowStarter: r.AllowStarter, NewerExecution: newer,
		Etag: r.Etag(), CreateTime: timestamp(r.CreatedAt), UpdateTime: timestamp(r.UpdatedAt),
	}
}
