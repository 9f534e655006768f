package scenario_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/approval"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

var (
	pipelinePattern  = regexp.MustCompile(`^pipeline(?: ([a-z][a-z0-9-]*))? ([A-Z]+)(?:, on_update ([a-z]+))?$`)
	variablePattern  = regexp.MustCompile(`^variable (\S+)(?: = (.*))?$`)
	stagePattern     = regexp.MustCompile(`^stage (\S+)$`)
	actionPattern    = regexp.MustCompile(`^(\d+) ([A-Za-z0-9.@_-]+(?:, [A-Za-z0-9.@_-]+)*)(?: (.*))?$`)
	conditionPattern = regexp.MustCompile(`^(before_entry|on_success) ([A-Z]+) unless$`)
	failurePattern   = regexp.MustCompile(`^on_failure(?: ([A-Z]+)(?: ([A-Z_]+))?)?(?:, ([A-Z]+) when)?$`)
	whenPattern      = regexp.MustCompile(`^on_failure ([A-Z]+) when$`)
	skipPattern      = regexp.MustCompile(`^on_rollback skips (conditions|approvals|conditions and approvals)$`)
	rulePattern      = regexp.MustCompile(`^rule (\S+): (\S+)(?: (.*))?$`)
)

// define reads a definition.
func define(mode, onUpdate string, lines []string) (*pipeline.Definition, error) {
	d := definer{def: &pipeline.Definition{ExecutionMode: pipeline.ExecutionMode(mode), OnUpdate: pipeline.OnUpdate(onUpdate)}}
	for _, line := range lines {
		if err := d.line(line); err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
	}
	return d.def, nil
}

// definer is a definition that is being read.
type definer struct {
	def *pipeline.Definition
	// stage is the newest, and condition the newest of it.
	stage     *pipeline.Stage
	condition *pipeline.Condition
}

func (d *definer) line(line string) error {
	if match := variablePattern.FindStringSubmatch(line); match != nil {
		variable := pipeline.Variable{Name: match[1]}
		if match[2] != "" {
			variable.DefaultValue = &match[2]
		}
		d.def.Variables = append(d.def.Variables, variable)
		return nil
	}
	if match := stagePattern.FindStringSubmatch(line); match != nil {
		d.def.Stages = append(d.def.Stages, pipeline.Stage{Name: match[1]})
		d.stage, d.condition = &d.def.Stages[len(d.def.Stages)-1], nil
		return nil
	}
	if d.stage == nil {
		return fmt.Errorf("this is neither a variable nor a stage")
	}
	if match := actionPattern.FindStringSubmatch(line); match != nil {
		return d.actions(match[1], strings.Split(match[2], ", "), words(match[3]))
	}
	if match := conditionPattern.FindStringSubmatch(line); match != nil {
		d.condition = &pipeline.Condition{Result: pipeline.Result(match[2])}
		if match[1] == "before_entry" {
			d.stage.BeforeEntry = d.condition
		} else {
			d.stage.OnSuccess = d.condition
		}
		return nil
	}
	if match := whenPattern.FindStringSubmatch(line); match != nil {
		d.condition = &pipeline.Condition{Result: pipeline.Result(match[1])}
		d.stage.OnFailure = &pipeline.OnFailure{Condition: d.condition}
		return nil
	}
	if match := failurePattern.FindStringSubmatch(line); match != nil {
		d.condition = nil
		if match[3] != "" {
			d.condition = &pipeline.Condition{Result: pipeline.Result(match[3])}
		}
		d.stage.OnFailure = &pipeline.OnFailure{Result: pipeline.Result(match[1]), RetryMode: pipeline.RetryMode(match[2]), Condition: d.condition}
		return nil
	}
	if match := skipPattern.FindStringSubmatch(line); match != nil {
		d.stage.OnRollback = pipeline.OnRollback{
			SkipConditions: strings.Contains(match[1], "conditions"), SkipApprovals: strings.Contains(match[1], "approvals"),
		}
		return nil
	}
	if match := rulePattern.FindStringSubmatch(line); match != nil && d.condition != nil {
		rule, err := ruleOf(match[1], match[2], words(match[3]))
		d.condition.Rules = append(d.condition.Rules, rule)
		return err
	}
	return fmt.Errorf("this is not part of a definition")
}

func (d *definer) actions(order string, names, attributes []string) error {
	number, err := strconv.Atoi(order)
	if err != nil {
		return err
	}
	for _, name := range names {
		a := pipeline.Action{Name: name, Owner: pipeline.Owner, Version: "1", RunOrder: number}
		if len(d.def.Stages) == 1 {
			a.Category, a.Provider = pipeline.CategorySource, "Git"
			a.Configuration = map[string]string{"RepositoryUrl": "https://git.example.com/" + name + ".git", "Branch": "main"}
			a.OutputArtifacts = []pipeline.OutputArtifact{{Name: name}}
		} else {
			a.Category, a.Provider, a.Commands = pipeline.CategoryBuild, "Commands", []string{"make " + name}
		}
		for i := 0; i < len(attributes); i++ {
			switch {
			case attributes[i] == "Manual":
				a.Category, a.Provider, a.Commands = pipeline.CategoryApproval, "Manual", nil
			case attributes[i] == typeCloud.ID.Provider:
				a.Provider, a.Commands = typeCloud.ID.Provider, nil
			case attributes[i] == "->" && i+1 < len(attributes):
				i++
				a.OutputArtifacts = nil
				for artifact := range strings.SplitSeq(attributes[i], ",") {
					a.OutputArtifacts = append(a.OutputArtifacts, pipeline.OutputArtifact{Name: artifact})
				}
			case attributes[i] == "<-" && i+1 < len(attributes):
				i++
				a.InputArtifacts = strings.Split(attributes[i], ",")
			default:
				if err := attribute(&a, attributes[i]); err != nil {
					return err
				}
			}
		}
		d.stage.Actions = append(d.stage.Actions, a)
	}
	return nil
}

// attribute sets what is written as key=value.
func attribute(a *pipeline.Action, text string) (err error) {
	key, value, found := strings.Cut(text, "=")
	if !found {
		return fmt.Errorf("%q is no attribute of an action", text)
	}
	kind, name, _ := strings.Cut(key, ":")
	switch kind {
	case "namespace":
		a.Namespace = value
	case "exports":
		a.OutputVariables = strings.Split(value, ",")
	case "timeout":
		a.TimeoutInMinutes, err = strconv.Atoi(value)
	case "on_lost":
		a.OnLost = pipeline.OnLost(value)
	case "command":
		a.Commands = []string{value}
	case "category":
		a.Category = pipeline.Category(value)
	case "env":
		a.EnvironmentVariables = append(a.EnvironmentVariables, pipeline.EnvironmentVariable{Name: name, Value: value})
	case "config":
		if a.Configuration == nil {
			a.Configuration = make(map[string]string)
		}
		a.Configuration[name] = value
	default:
		return fmt.Errorf("%q is no attribute of an action", text)
	}
	return err
}

// ruleOf reads a rule of a condition.
func ruleOf(name, provider string, attributes []string) (pipeline.Rule, error) {
	rule := pipeline.Rule{Name: name, Provider: provider, Configuration: make(map[string]string)}
	var keys []string
	switch provider {
	case "VariableCheck":
		keys = []string{"Variable", "Operator", "Value"}
	case "DeploymentWindow":
		keys = []string{"Cron", "TimeZone"}
	case "Expression":
		keys = []string{"Expression"}
	case "Commands":
		rule.Commands = []string{"./" + name}
	}
	for i := 0; i < len(attributes); i++ {
		text := attributes[i]
		key, value, _ := strings.Cut(text, "=")
		environment, isEnvironment := strings.CutPrefix(key, "env:")
		switch {
		case key == "timeout":
			minutes, err := strconv.Atoi(value)
			if err != nil {
				return rule, err
			}
			rule.TimeoutInMinutes = minutes
		case isEnvironment:
			rule.EnvironmentVariables = append(rule.EnvironmentVariables, pipeline.EnvironmentVariable{Name: environment, Value: value})
		case text == "<-" && i+1 < len(attributes):
			i++
			rule.InputArtifacts = strings.Split(attributes[i], ",")
		case len(keys) > 0:
			rule.Configuration[keys[0]] = text
			keys = keys[1:]
		default:
			return rule, fmt.Errorf("%q says nothing about a %s rule", text, provider)
		}
	}
	if len(rule.Configuration) == 0 {
		rule.Configuration = nil
	}
	return rule, nil
}

// approvalRule reads an approval rule; what it asks for is a list of clauses.
func approvalRule(name, pipelines, guarded, clauses string, isGroup func(string) bool) (approval.Rule, error) {
	rule := approval.Rule{Account: account, Name: name, Pipelines: []string{pipelines}}
	stage, actionName, _ := strings.Cut(guarded, "/")
	if stage != "*" {
		rule.Stages = []string{stage}
	}
	if actionName != "" {
		rule.Actions = []string{actionName}
	}
	for clause := range strings.SplitSeq(clauses, ", ") {
		list := strings.Fields(clause)
		switch {
		case len(list) > 2 && list[1] == "of":
			count, err := strconv.Atoi(list[0])
			if err != nil {
				return rule, err
			}
			rule.MinimumCount = count
			for _, who := range list[2:] {
				switch {
				case who == "anyone":
				case isGroup(who):
					rule.Groups = append(rule.Groups, who)
				default:
					rule.Users = append(rule.Users, who)
				}
			}
		case clause == "comment":
			rule.RequireComment = true
		case clause == "starter":
			rule.AllowStarter = true
		case clause == "supersede":
			rule.Supersede = true
		case len(list) == 2 && list[0] == "expires":
			after, err := duration(list[1])
			if err != nil {
				return rule, err
			}
			rule.ExpireAfter = after
		default:
			return rule, fmt.Errorf("%q says nothing about an approval rule", clause)
		}
	}
	return rule, nil
}

// duration reads a duration, which may begin with days: 31d, 1d2h.
func duration(text string) (time.Duration, error) {
	total := time.Duration(0)
	if days, rest, found := strings.Cut(text, "d"); found {
		count, err := strconv.Atoi(days)
		if err != nil {
			return 0, err
		}
		total, text = time.Duration(count)*24*time.Hour, rest
	}
	if text == "" {
		return total, nil
	}
	rest, err := time.ParseDuration(text)
	return total + rest, err
}

// when reads a time of the clock.
func when(text string) (time.Time, error) {
	return time.Parse("2006-01-02 15:04", text)
}
