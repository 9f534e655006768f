package pipeline

import (
	"slices"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline/expression"
)

const maxRules = 5

// conditions checks the conditions of one stage. It is the first one of the
// pipeline, or may be one of the others.
func (c *checker) conditions(path Path, stage *Stage, first bool) {
	if stage.BeforeEntry != nil {
		c.condition(path.Field("before_entry"), stage.BeforeEntry, first, ResultFail, ResultSkip)
	}
	if stage.OnSuccess != nil {
		c.condition(path.Field("on_success"), stage.OnSuccess, first, ResultRollback, ResultFail)
	}
	if stage.OnFailure != nil {
		c.onFailure(path.Field("on_failure"), stage.OnFailure, first)
	}
	c.onRollback(path.Field("on_rollback"), stage, first)
}

// onRollback refuses on_rollback where no automatic rollback can ever happen.
func (c *checker) onRollback(path Path, stage *Stage, first bool) {
	skips := stage.OnRollback
	if !skips.SkipConditions && !skips.SkipApprovals {
		return
	}
	switch {
	case c.def.ExecutionMode == Parallel:
		c.refuse(path, "on_rollback has no effect, because a pipeline in mode %s cannot roll back; remove the block or choose another execution_mode", Parallel)
	case first:
		c.refuse(path, "on_rollback has no effect, because the first stage holds the sources and cannot roll back; remove the block")
	case !stage.MayRollBack():
		c.refuse(path, "on_rollback has no effect, because the stage never rolls back automatically; give on_failure or on_success the result %s, or remove the block",
			ResultRollback)
	}
}

// MayRollBack tells whether a result of the stage is ROLLBACK, or unknown at plan time.
func (s *Stage) MayRollBack() bool {
	var results []Result
	if s.OnFailure != nil {
		results = append(results, s.OnFailure.Result)
	}
	for _, kind := range []ConditionKind{ConditionOnSuccess, ConditionOnFailure} {
		if c := s.Condition(kind); c != nil {
			results = append(results, c.Result)
		}
	}
	return slices.Contains(results, ResultRollback) || slices.Contains(results, Unknown)
}

func (c *checker) onFailure(path Path, f *OnFailure, first bool) {
	if f.Result == "" && f.Condition == nil {
		c.refuse(path, "on_failure says nothing; give it a result (%s, %s or %s) or a condition", ResultRollback, ResultRetry, ResultFail)
	}
	switch f.Result {
	case "":
	case ResultSkip:
		c.refuse(path.Field("result"), "a stage that has failed cannot be skipped any more, since what comes after relies on it; "+
			"use %s, or %s in before_entry", ResultRetry, ResultSkip)
	case ResultRollback:
		c.rollback(path.Field("result"), f.Result, first)
		if f.Condition != nil && !opaqueCondition(f.Condition) {
			c.refuse(path.Field("result"), "%s as the result rolls back whatever the condition says; remove the result, or the condition", ResultRollback)
		}
	default:
		c.oneOf(path.Field("result"), "result of on_failure", string(f.Result), string(ResultRollback), string(ResultRetry), string(ResultFail))
	}
	if f.RetryMode != "" {
		c.oneOf(path.Field("retry_mode"), "retry mode", string(f.RetryMode), string(RetryAllActions), string(RetryFailedActions))
	}
	if f.RetryMode != "" && f.Result != ResultRetry && !anyUnknown(string(f.RetryMode), string(f.Result)) {
		c.refuse(path.Field("retry_mode"), "retry_mode goes with the result %s only; remove it or change the result", ResultRetry)
	}
	if f.Condition != nil {
		c.condition(path.Field("condition"), f.Condition, first, ResultRollback, ResultFail)
	}
}

// rollback refuses rolling back where executions do not wait for each other, so
// that there is no state to go back to, and in the first stage, which fetches what
// is new and has nothing of its own to go back to.
func (c *checker) rollback(path Path, result Result, first bool) {
	switch {
	case result != ResultRollback:
	case c.def.ExecutionMode == Parallel:
		c.refuse(path, "a pipeline in mode %s cannot roll back; choose another result or execution_mode", Parallel)
	case first:
		c.refuse(path, "the first stage holds the sources and cannot roll back; choose another result")
	}
}

func (c *checker) condition(path Path, condition *Condition, first bool, results ...Result) {
	if opaqueCondition(condition) {
		return
	}
	words := make([]string, len(results))
	for i, result := range results {
		words[i] = string(result)
	}
	c.oneOf(path.Field("result"), "result of the condition", string(condition.Result), words...)
	c.rollback(path.Field("result"), condition.Result, first)
	known, complete := countKnown(condition.Rules, opaqueRule)
	c.count(path.Field("rules"), "rules", known, complete, 1, maxRules)
	unique := c.unique("rule %q occurs more than once; rule names are unique in a condition")
	for i := range condition.Rules {
		rule := &condition.Rules[i]
		if opaqueRule(rule) {
			continue
		}
		path := path.At("rules", i)
		unique(path.Field("name"), rule.Name)
		c.rule(path, rule)
		if condition.Result == ResultSkip {
			c.maySkip(path, rule)
		}
	}
}

func (c *checker) rule(path Path, rule *Rule) {
	c.name(path.Field("name"), "rule name", rule.Name)
	c.ruleKind(path, rule)
	c.declared(path, rule.declared())
}

// ruleKind checks that the type of the rule exists.
func (c *checker) ruleKind(path Path, rule *Rule) {
	var providers, versions []string
	for _, t := range c.catalog.Rules() {
		providers = append(providers, t.ID.Provider)
		if t.ID.Provider == rule.Provider {
			versions = append(versions, t.ID.Version)
		}
	}
	providers = slices.Compact(providers)
	switch {
	case rule.Provider == Unknown:
	case rule.Provider == "":
		c.oneOf(path.Field("provider"), "rule provider", rule.Provider, providers...)
	case len(versions) == 0:
		similar, instead := didYouMean(rule.Provider, providers), ""
		if runner := c.takers(CategoryRule, TakesCommands); runner != "" {
			instead = " (" + runner + " can call any service)"
		}
		c.unknownKind(path.Field("provider"), similar, "rule type %s is not supported by this version of Headrace%s; use one of %s%s",
			rule.Provider, similar, enumerate(providers), instead)
	case rule.Version != Unknown && !slices.Contains(versions, rule.TypeID().Version):
		c.unknownKind(path.Field("version"), "", "version %q of rule type %s is not supported by this version of Headrace; use %s",
			rule.Version, rule.Provider, enumerate(versions))
	}
}

// maySkip refuses rules that cannot decide whether a stage is skipped.
func (c *checker) maySkip(path Path, rule *Rule) {
	t, known := c.catalog.Lookup(rule.TypeID())
	if !known || t.MaySkip {
		return
	}
	var may []string
	for _, t := range c.catalog.Rules() {
		if t.MaySkip {
			may = append(may, t.ID.Provider)
		}
	}
	c.refuse(path.Field("provider"), "the result %s works only with %s rules; use one of them or another result", ResultSkip, allOf(may))
}

// conditionFlow checks that rules use only what is there when they are checked:
// before the stage what earlier stages left, after its success what it left too.
func (c *checker) conditionFlow(f *flow) {
	for i := range c.def.Stages {
		stage := &c.def.Stages[i]
		path := Path(nil).At("stages", i)
		entry := site{stage: i, stageName: stage.Name}
		success := site{stage: i, order: maxRunOrder + 1, stageName: stage.Name}
		c.ruleFlow(f, entry, path.Field("before_entry"), stage.BeforeEntry)
		c.ruleFlow(f, success, path.Field("on_success"), stage.OnSuccess)
		if stage.OnFailure != nil {
			// No action of a failed stage is sure to have ended well.
			c.ruleFlow(f, entry, path.Field("on_failure").Field("condition"), stage.OnFailure.Condition)
		}
	}
}

func (c *checker) ruleFlow(f *flow, user site, path Path, condition *Condition) {
	if condition == nil {
		return
	}
	for i := range condition.Rules {
		rule := &condition.Rules[i]
		path := path.At("rules", i)
		for j, name := range rule.InputArtifacts {
			c.artifactUse(f, user, path.At("input_artifacts", j), name)
		}
		c.configurationFlow(f, user, path, rule.TypeID(), rule.Configuration)
		for j := range rule.EnvironmentVariables {
			c.references(f, user, path.At("environment_variables", j).Field("value"), rule.EnvironmentVariables[j].Value)
		}
	}
}

// expression checks an expression, and that what it reads is there.
func (c *checker) expression(f *flow, user site, path Path, text string) {
	if references := References(text); len(references) > 0 {
		c.refuse(path, "%s", referenceInExpression(references[0]))
		return
	}
	references, err := expression.References(text)
	c.check(path, err)
	for _, reference := range references {
		c.reference(f, user, path, Reference{Namespace: reference.Namespace, Key: reference.Key}, reference.String())
	}
	if err == nil {
		c.revisions(path, text)
	}
}

// revisions checks that what an expression takes revisions of are source actions.
func (c *checker) revisions(path Path, text string) {
	names, complete := c.sourceNames()
	if !complete {
		return
	}
	sources, err := expression.Sources(text)
	c.check(path, err)
	for _, source := range sources {
		if !slices.Contains(names, source) {
			c.refuse(path, "revisions holds no %q, since there is no source action of that name%s; source actions: %s",
				source, didYouMean(source, names), enumerate(names))
		}
	}
}
