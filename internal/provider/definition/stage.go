package definition

import (
	"github.com/hashicorp/terraform-plugin-framework/types"

	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/internal/provider/values"
)

// Stage is a stage block.
type Stage struct {
	Name    types.String `tfsdk:"name"`
	Actions []Action     `tfsdk:"action"`
	StageFields
}

// StageFields is what a stage has wherever it is written, but for its name and
// its actions. Each list holds at most one element, as in aws_codepipeline.
type StageFields struct {
	BeforeEntry []Conditions `tfsdk:"before_entry"`
	OnSuccess   []Conditions `tfsdk:"on_success"`
	OnFailure   []OnFailure  `tfsdk:"on_failure"`
	OnRollback  []OnRollback `tfsdk:"on_rollback"`
}

// OnRollback is an on_rollback block.
type OnRollback struct {
	SkipConditions types.Bool `tfsdk:"skip_conditions"`
	SkipApprovals  types.Bool `tfsdk:"skip_approvals"`
}

// domain returns the block. What is not known yet counts as false, so that nothing is
// refused for it.
func (r OnRollback) domain() domain.OnRollback {
	return domain.OnRollback{SkipConditions: r.SkipConditions.ValueBool(), SkipApprovals: r.SkipApprovals.ValueBool()}
}

// Conditions is a before_entry or on_success block.
type Conditions struct {
	Condition []Condition `tfsdk:"condition"`
}

// OnFailure is an on_failure block.
type OnFailure struct {
	Result             types.String         `tfsdk:"result"`
	RetryConfiguration []RetryConfiguration `tfsdk:"retry_configuration"`
	Condition          []Condition          `tfsdk:"condition"`
}

// RetryConfiguration is a retry_configuration block.
type RetryConfiguration struct {
	RetryMode types.String `tfsdk:"retry_mode"`
}

// Condition is a condition block.
type Condition struct {
	Result types.String `tfsdk:"result"`
	Rules  []Rule       `tfsdk:"rule"`
}

// Rule is a rule block.
type Rule struct {
	Name                 types.String          `tfsdk:"name"`
	RuleTypeID           []RuleTypeID          `tfsdk:"rule_type_id"`
	Configuration        types.Map             `tfsdk:"configuration"`
	Commands             types.List            `tfsdk:"commands"`
	EnvironmentVariables []EnvironmentVariable `tfsdk:"environment_variable"`
	InputArtifacts       types.List            `tfsdk:"input_artifacts"`
	RoleARN              types.String          `tfsdk:"role_arn"`
	Region               types.String          `tfsdk:"region"`
	TimeoutInMinutes     types.Int64           `tfsdk:"timeout_in_minutes"`
}

// RuleTypeID is a rule_type_id block. Category and owner are constants of the
// shape of aws_codepipeline: the backend has only the provider and the version.
type RuleTypeID struct {
	Category types.String `tfsdk:"category"`
	Owner    types.String `tfsdk:"owner"`
	Provider types.String `tfsdk:"provider"`
	Version  types.String `tfsdk:"version"`
}

// Domain returns the stage as the domain has it, without actions.
func (f StageFields) Domain(name types.String) domain.Stage {
	stage := domain.Stage{Name: values.Text(name)}
	if len(f.BeforeEntry) > 0 {
		stage.BeforeEntry = f.BeforeEntry[0].domain()
	}
	if len(f.OnSuccess) > 0 {
		stage.OnSuccess = f.OnSuccess[0].domain()
	}
	if len(f.OnFailure) > 0 {
		failure := f.OnFailure[0]
		stage.OnFailure = &domain.OnFailure{
			Result:    domain.Result(values.Text(failure.Result)),
			Condition: conditionDomain(failure.Condition),
		}
		if len(failure.RetryConfiguration) > 0 {
			stage.OnFailure.RetryMode = domain.RetryMode(values.Text(failure.RetryConfiguration[0].RetryMode))
		}
	}
	if len(f.OnRollback) > 0 {
		stage.OnRollback = f.OnRollback[0].domain()
	}
	return stage
}

// StageFieldsOf returns what Terraform shows of a stage. Where null and empty
// mean the same, the choice of prior stays.
func StageFieldsOf(stage domain.Stage, prior StageFields) StageFields {
	fields := StageFields{
		BeforeEntry: conditionsOf(stage.BeforeEntry, prior.BeforeEntry),
		OnSuccess:   conditionsOf(stage.OnSuccess, prior.OnSuccess),
		OnRollback:  onRollbackOf(stage.OnRollback, prior.OnRollback),
	}
	if stage.OnFailure == nil {
		return fields
	}
	failure := OnFailure{Result: values.FromText(string(stage.OnFailure.Result))}
	if stage.OnFailure.RetryMode != "" {
		failure.RetryConfiguration = []RetryConfiguration{{RetryMode: types.StringValue(string(stage.OnFailure.RetryMode))}}
	}
	var before []Condition
	if len(prior.OnFailure) > 0 {
		before = prior.OnFailure[0].Condition
	}
	failure.Condition = conditionOf(stage.OnFailure.Condition, before)
	fields.OnFailure = []OnFailure{failure}
	return fields
}

// onRollbackOf returns the block. One that skips nothing is the same as none, and stays
// where it is written.
func onRollbackOf(skips domain.OnRollback, prior []OnRollback) []OnRollback {
	if skips == (domain.OnRollback{}) && len(prior) == 0 {
		return nil
	}
	return []OnRollback{{
		SkipConditions: types.BoolValue(skips.SkipConditions), SkipApprovals: types.BoolValue(skips.SkipApprovals),
	}}
}

func (s Stage) domain() domain.Stage {
	stage := s.Domain(s.Name)
	for _, action := range s.Actions {
		stage.Actions = append(stage.Actions, action.Domain(action.Name, action.Provider))
	}
	return stage
}

func stageOf(stage domain.Stage, prior Stage) Stage {
	s := Stage{Name: types.StringValue(stage.Name), StageFields: StageFieldsOf(stage, prior.StageFields)}
	for _, action := range stage.Actions {
		var before Action
		for _, candidate := range prior.Actions {
			if candidate.Name.ValueString() == action.Name {
				before = candidate
			}
		}
		s.Actions = append(s.Actions, actionOf(action, before))
	}
	return s
}

// StagesOf returns the stage blocks of a definition. The prior stages are found
// by name, so that an inserted stage does not mix up its neighbours.
func StagesOf(stages []domain.Stage, prior []Stage) []Stage {
	var blocks []Stage
	for _, stage := range stages {
		var before Stage
		for _, candidate := range prior {
			if candidate.Name.ValueString() == stage.Name {
				before = candidate
			}
		}
		blocks = append(blocks, stageOf(stage, before))
	}
	return blocks
}

// StagesDomain returns the stages as the domain has them.
func StagesDomain(blocks []Stage) []domain.Stage {
	var stages []domain.Stage
	for _, block := range blocks {
		stages = append(stages, block.domain())
	}
	return stages
}

// domain returns the condition, an empty one where there is none in the block:
// the block was written, so it must not pass for absent.
func (c Conditions) domain() *domain.Condition {
	if condition := conditionDomain(c.Condition); condition != nil {
		return condition
	}
	return &domain.Condition{}
}

func conditionDomain(blocks []Condition) *domain.Condition {
	if len(blocks) == 0 {
		return nil
	}
	condition := &domain.Condition{Result: domain.Result(values.Text(blocks[0].Result))}
	for _, block := range blocks[0].Rules {
		rule := domain.Rule{
			Name:                 values.Text(block.Name),
			Configuration:        values.TextMap(block.Configuration),
			Commands:             values.Texts(block.Commands),
			EnvironmentVariables: environmentDomain(block.EnvironmentVariables),
			InputArtifacts:       values.Texts(block.InputArtifacts),
			RoleARN:              values.Text(block.RoleARN),
			Region:               values.Text(block.Region),
			TimeoutInMinutes:     values.Whole(block.TimeoutInMinutes),
		}
		if len(block.RuleTypeID) > 0 {
			rule.Provider = values.Text(block.RuleTypeID[0].Provider)
			rule.Version = values.Text(block.RuleTypeID[0].Version)
		}
		condition.Rules = append(condition.Rules, rule)
	}
	return condition
}

func conditionsOf(condition *domain.Condition, prior []Conditions) []Conditions {
	if condition == nil {
		return nil
	}
	var before []Condition
	if len(prior) > 0 {
		before = prior[0].Condition
	}
	return []Conditions{{Condition: conditionOf(condition, before)}}
}

func conditionOf(condition *domain.Condition, prior []Condition) []Condition {
	if condition == nil {
		return nil
	}
	block := Condition{Result: values.FromText(string(condition.Result))}
	for _, rule := range condition.Rules {
		block.Rules = append(block.Rules, ruleOf(rule, priorRule(prior, rule.Name)))
	}
	return []Condition{block}
}

func priorRule(prior []Condition, name string) Rule {
	for _, condition := range prior {
		for _, rule := range condition.Rules {
			if rule.Name.ValueString() == name {
				return rule
			}
		}
	}
	return Rule{}
}

func ruleOf(rule domain.Rule, prior Rule) Rule {
	id := RuleTypeID{
		Category: types.StringValue(ruleCategory),
		Owner:    types.StringValue(ruleOwner),
		Provider: types.StringValue(rule.Provider),
		Version:  values.FromTextOr(rule.Version, defaultRuleVersion),
	}
	if len(prior.RuleTypeID) > 0 {
		id.Category = prior.RuleTypeID[0].Category
		id.Owner = prior.RuleTypeID[0].Owner
	}
	return Rule{
		Name:                 types.StringValue(rule.Name),
		RuleTypeID:           []RuleTypeID{id},
		Configuration:        values.FromTextMap(rule.Configuration, prior.Configuration),
		Commands:             values.FromTexts(rule.Commands, prior.Commands),
		EnvironmentVariables: environmentOf(rule.EnvironmentVariables),
		InputArtifacts:       values.FromTexts(rule.InputArtifacts, prior.InputArtifacts),
		RoleARN:              values.FromText(rule.RoleARN),
		Region:               values.FromText(rule.Region),
		TimeoutInMinutes:     values.FromWhole(rule.TimeoutInMinutes),
	}
}
