package pipeline

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline/expression"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/window"
)

const (
	maxRules              = 5
	maxRuleConfiguration  = 200
	maxRuleValue          = 10000
	maxRuleInputs         = 10
	minRuleTimeoutMinutes = 5
)

// The providers of rules that run.
const (
	RuleCommands         = "Commands"
	RuleDeploymentWindow = "DeploymentWindow"
	RuleExpression       = "Expression"
	RuleVariableCheck    = "VariableCheck"
)

// The providers of rules that need AWS.
const (
	ruleAlarm        = "CloudWatchAlarm"
	ruleCodeBuild    = "CodeBuild"
	ruleLambdaInvoke = "LambdaInvoke"
)

// runningProviders are the providers of rules that this version runs.
func runningProviders() []string {
	return []string{RuleCommands, RuleDeploymentWindow, RuleExpression, RuleVariableCheck}
}

// ruleNeedsAWS tells whether rules of that provider ask a service of AWS.
func ruleNeedsAWS(provider string) bool {
	return slices.Contains([]string{ruleAlarm, ruleCodeBuild, ruleLambdaInvoke}, provider)
}

func ruleConfiguration(provider string) []ConfigurationKey {
	switch provider {
	case ruleAlarm:
		return []ConfigurationKey{{Name: "AlarmName", Required: true}, {Name: "AlarmStates"}, {Name: "WaitTime"}}
	case ruleCodeBuild:
		return []ConfigurationKey{
			{Name: "ProjectName", Required: true},
			{Name: "PrimarySource"},
			{Name: "BatchEnabled"},
			{Name: "CombineArtifacts"},
			{Name: "EnvironmentVariables"},
		}
	case RuleDeploymentWindow:
		return []ConfigurationKey{{Name: KeyCron, Required: true, Check: checkCron}, {Name: KeyTimeZone, Check: checkZone}}
	case RuleExpression:
		// Checked with its references, by ruleFlow.
		return []ConfigurationKey{{Name: KeyExpression, Required: true}}
	case ruleLambdaInvoke:
		return []ConfigurationKey{{Name: "FunctionName", Required: true}, {Name: "UserParameters"}}
	case RuleVariableCheck:
		return []ConfigurationKey{
			{Name: KeyVariable, Required: true},
			{Name: KeyValue, Required: true},
			{Name: KeyOperator, Required: true, Check: func(value string) error {
				return oneOf("operator", value, operators()...)
			}},
		}
	}
	return nil
}

func checkCron(cron string) error {
	_, err := window.Parse(cron, "")
	return err
}

// checkOpens checks that a window opens at some time by the clock of its zone.
func checkOpens(cron, zone string) error {
	w, err := window.Parse(cron, zone)
	if err != nil {
		return nil //nolint:nilerr // It is refused where it stands.
	}
	if _, opens := w.Next(time.Time{}); !opens {
		return fmt.Errorf("the window %q never opens: no minute matches it; change the days, the months or the years", cron)
	}
	return nil
}

func checkZone(zone string) error {
	_, err := window.Parse("* * * * * *", zone)
	return err
}

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
	var results []string
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
		c.oneOf(path.Field("result"), "result of on_failure", f.Result, ResultRollback, ResultRetry, ResultFail)
	}
	if f.RetryMode != "" {
		c.oneOf(path.Field("retry_mode"), "retry mode", string(f.RetryMode), string(RetryAllActions), string(RetryFailedActions))
	}
	if f.RetryMode != "" && f.Result != ResultRetry && !anyUnknown(string(f.RetryMode), f.Result) {
		c.refuse(path.Field("retry_mode"), "retry_mode goes with the result %s only; remove it or change the result", ResultRetry)
	}
	if f.Condition != nil {
		c.condition(path.Field("condition"), f.Condition, first, ResultRollback, ResultFail)
	}
}

// rollback refuses rolling back where executions do not wait for each other, so
// that there is no state to go back to, and in the first stage, which fetches what
// is new and has nothing of its own to go back to.
func (c *checker) rollback(path Path, result string, first bool) {
	switch {
	case result != ResultRollback:
	case c.def.ExecutionMode == Parallel:
		c.refuse(path, "a pipeline in mode %s cannot roll back; choose another result or execution_mode", Parallel)
	case first:
		c.refuse(path, "the first stage holds the sources and cannot roll back; choose another result")
	}
}

func (c *checker) condition(path Path, condition *Condition, first bool, results ...string) {
	if opaqueCondition(condition) {
		return
	}
	c.oneOf(path.Field("result"), "result of the condition", condition.Result, results...)
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
		if condition.Result == ResultSkip && !slices.Contains([]string{ruleLambdaInvoke, RuleExpression, RuleVariableCheck, Unknown}, rule.Provider) {
			c.refuse(path.Field("provider"), "the result %s goes with rules of %s and %s only; use one of them or another result",
				ResultSkip, RuleVariableCheck, RuleExpression)
		}
	}
}

func (c *checker) rule(path Path, rule *Rule) {
	c.name(path.Field("name"), "rule name", rule.Name)
	if !ruleNeedsAWS(rule.Provider) {
		// Those that need AWS are refused as such.
		c.oneOf(path.Field("provider"), "rule provider", rule.Provider, runningProviders()...)
	}
	if rule.Version != "" {
		c.oneOf(path.Field("version"), "rule version", rule.Version, "1")
	}
	c.ruleConfiguration(path, rule)
	c.environment(path, rule.EnvironmentVariables)
	if known, _ := countKnown(rule.EnvironmentVariables, opaqueEnvironment); known > 0 && rule.Provider != RuleCommands && rule.Provider != Unknown {
		c.refuse(path.Field("environment_variables"), "only a %s rule takes environment variables; remove them or change the provider", RuleCommands)
	}
	c.commands(path, rule.Commands)
	known, complete := knownStrings(rule.Commands)
	switch {
	case rule.Provider == RuleCommands && complete && known == 0:
		c.refuse(path.Field("commands"), "a %s rule needs commands; give it 1 to %d shell lines", RuleCommands, maxCommands)
	case rule.Provider != RuleCommands && rule.Provider != Unknown && known > 0:
		c.refuse(path.Field("commands"), "only a %s rule takes commands; remove them or change the provider", RuleCommands)
	}
	c.inputs(path, rule.InputArtifacts)
	known, complete = knownStrings(rule.InputArtifacts)
	c.count(path.Field("input_artifacts"), "input artifacts", known, complete, 0, maxRuleInputs)
	c.roleARN(path.Field("role_arn"), rule.RoleARN)
	c.region(path.Field("region"), rule.Region)
	minutes := rule.TimeoutInMinutes
	if minutes != 0 && minutes != UnknownInt && (minutes < minRuleTimeoutMinutes || minutes > maxTimeoutMinutes) {
		c.refuse(path.Field("timeout_in_minutes"), "timeout_in_minutes is %d; use %d to %d, or leave it out",
			minutes, minRuleTimeoutMinutes, maxTimeoutMinutes)
	}
}

func (c *checker) ruleConfiguration(path Path, rule *Rule) {
	partial := mapIsPartial(rule.Configuration)
	keys := slices.Sorted(maps.Keys(rule.Configuration))
	count := len(keys)
	if partial {
		count--
	}
	c.count(path.Field("configuration"), "configuration keys", count, !partial, 0, maxRuleConfiguration)
	known := ruleConfiguration(rule.Provider)
	var names []string
	for _, key := range known {
		names = append(names, key.Name)
		value, given := rule.Configuration[key.Name]
		if key.Required && !given && !partial {
			c.refuse(path.Entry("configuration", key.Name), "a %s rule needs the configuration key %q; give it a value", rule.Provider, key.Name)
		}
		// What variables are put into is known when the condition is checked.
		if key.Check != nil && given && value != Unknown && len(References(value)) == 0 {
			c.check(path.Entry("configuration", key.Name), key.Check(value))
		}
	}
	cron, zone := rule.Configuration[KeyCron], rule.Configuration[KeyTimeZone]
	if rule.Provider == RuleDeploymentWindow && !partial && !anyUnknown(cron, zone) && len(References(cron+zone)) == 0 {
		c.check(path.Entry("configuration", KeyCron), checkOpens(cron, zone))
	}
	checkNames := ruleNeedsAWS(rule.Provider) || slices.Contains(runningProviders(), rule.Provider)
	for _, key := range keys {
		if key == Unknown {
			continue
		}
		path := path.Entry("configuration", key)
		c.check(path, checkText("the configuration key", key, 1, maxConfigurationKey))
		if checkNames && !slices.Contains(names, key) {
			c.refuse(path, "a %s rule has no configuration key %q%s; %s", rule.Provider, key, didYouMean(key, names), keysOf(names))
		}
		value := rule.Configuration[key]
		if value == Unknown {
			continue
		}
		c.check(path, checkText("the value", value, 1, maxRuleValue))
	}
	if value := rule.Configuration[KeyValue]; rule.Provider == RuleVariableCheck && rule.Configuration[KeyOperator] == operatorMatches &&
		value != Unknown && len(References(value)) == 0 {
		c.check(path.Entry("configuration", KeyValue), expression.CheckPattern(value))
	}
}

// keysOf says which keys there are instead.
func keysOf(names []string) string {
	if len(names) == 0 {
		return "it has none"
	}
	return "it has " + enumerate(names)
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
		for _, key := range slices.Sorted(maps.Keys(rule.Configuration)) {
			path, value := path.Entry("configuration", key), rule.Configuration[key]
			switch {
			case key != KeyExpression:
				c.references(f, user, path, value)
			case rule.Provider == RuleExpression && value != Unknown && value != "":
				c.expression(f, user, path, value)
			}
		}
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

const (
	maxTriggers       = 50
	maxTriggerBytes   = 200 * 1024
	maxTriggerFilters = 3
	maxTriggerEvents  = 3
	maxGlobs          = 8
	maxGlob           = 255
	triggerProvider   = "CodeStarSourceConnection"
)

// triggers checks the shape of the triggers.
func (c *checker) triggers() {
	triggers := c.def.Triggers
	known, complete := countKnown(triggers, opaqueTrigger)
	c.count(Path(nil).Field("triggers"), "triggers", known, complete, 0, maxTriggers)
	unique := c.unique("source action %q has more than one trigger; put all filters into one")
	size := 0
	for i := range triggers {
		if opaqueTrigger(&triggers[i]) {
			continue
		}
		path := Path(nil).At("triggers", i)
		c.oneOf(path.Field("provider_type"), "trigger provider", triggers[i].ProviderType, triggerProvider)
		git := triggers[i].GitConfiguration
		if git == nil {
			c.refuse(path.Field("git_configuration"), "git_configuration is missing; name the source action in it")
			continue
		}
		path = path.Field("git_configuration")
		c.triggerSource(path.Field("source_action_name"), git.SourceActionName)
		unique(path.Field("source_action_name"), git.SourceActionName)
		c.count(path.Field("push"), "push filters", len(git.Push), true, 0, maxTriggerFilters)
		for j, filter := range git.Push {
			path := path.At("push", j)
			size += c.globs(path.Field("branches"), filter.Branches)
			size += c.globs(path.Field("file_paths"), filter.FilePaths)
			size += c.globs(path.Field("tags"), filter.Tags)
		}
		c.count(path.Field("pull_request"), "pull request filters", len(git.PullRequest), true, 0, maxTriggerFilters)
		for j, filter := range git.PullRequest {
			path := path.At("pull_request", j)
			c.events(path, filter.Events)
			size += c.globs(path.Field("branches"), filter.Branches)
			size += c.globs(path.Field("file_paths"), filter.FilePaths)
		}
	}
	if size > maxTriggerBytes {
		c.refuse(Path(nil).Field("triggers"), "the patterns of all triggers have %d bytes; at most %d allowed", size, maxTriggerBytes)
	}
}

func (c *checker) triggerSource(path Path, name string) {
	if name == "" {
		c.refuse(path, "source_action_name is missing; name an action of the first stage")
		return
	}
	if name == Unknown {
		return
	}
	if names, complete := c.sourceNames(); complete && !slices.Contains(names, name) {
		c.refuse(path, "there is no source action %q%s", name, didYouMean(name, names))
	}
}

// sourceNames returns the names of the source actions, and whether all are known.
func (c *checker) sourceNames() (names []string, complete bool) {
	for i := range c.def.Stages {
		stage := &c.def.Stages[i]
		if opaqueStage(stage) {
			return nil, false
		}
		for j := range stage.Actions {
			action := &stage.Actions[j]
			if opaqueAction(action) || action.Name == Unknown || action.Category == Unknown {
				return nil, false
			}
			if action.Category == CategorySource {
				names = append(names, action.Name)
			}
		}
	}
	return names, true
}

func (c *checker) events(path Path, events []string) {
	known, complete := knownStrings(events)
	c.count(path.Field("events"), "events", known, complete, 0, maxTriggerEvents)
	unique := c.unique("event %q is listed more than once; remove one")
	for i, event := range events {
		c.oneOf(path.At("events", i), "pull request event", event, "OPEN", "UPDATED", "CLOSED")
		unique(path.At("events", i), event)
	}
}

// globs checks a filter and returns the size of its patterns in bytes.
func (c *checker) globs(path Path, filter *GlobFilter) int {
	if filter == nil {
		return 0
	}
	size := 0
	list := func(field string, patterns []string) {
		known, complete := knownStrings(patterns)
		c.count(path.Field(field), "patterns", known, complete, 0, maxGlobs)
		for i, pattern := range patterns {
			if pattern == Unknown {
				continue
			}
			size += len(pattern)
			c.check(path.At(field, i), checkText("the pattern", pattern, 1, maxGlob))
			c.check(path.At(field, i), CheckGlob(pattern))
		}
	}
	list("includes", filter.Includes)
	list("excludes", filter.Excludes)
	return size
}
