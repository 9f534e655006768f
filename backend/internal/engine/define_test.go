package engine_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// define reads a definition: stages are separated by "|", groups of one run
// order by ";", actions by spaces.
//
//	Build: compile lint; test | Release (before v=x skip, failure retry): ?sign ~announce put<compile
//
// An action is a name with marks: "?" makes it an approval, "~" a turn, "!" one of
// a type that nobody knows, a "*" behind it tries it again when its runner is lost,
// and "<other" makes it take the artifact and the variable of another.
//
// What is in parentheses behind the name of a stage is its conditions: "before",
// "success" or "failure" with rules and a result. A "failure" may have a result
// and no rules, and may begin with "retry" or "retry all" before the rules. "skip
// conditions approvals", or one of the two, is its on_rollback.
//
//	v=x        VariableCheck: variable v equals x
//	w9-17      DeploymentWindow: from 9 to 18 o'clock UTC, Monday to Friday; w9-17/600 waits 600 minutes
//	never      DeploymentWindow: in the past
//	$probe     Commands
//	nobody     a provider that nobody knows
func define(text string) *pipeline.Definition {
	def := &pipeline.Definition{}
	for part := range strings.SplitSeq(text, "|") {
		head, groups, _ := strings.Cut(part, ":")
		name, conditions, _ := strings.Cut(head, "(")
		stage := pipeline.Stage{Name: strings.TrimSpace(name)}
		for order, group := range strings.Split(groups, ";") {
			for word := range strings.FieldsSeq(group) {
				stage.Actions = append(stage.Actions, defineAction(word, order+1))
			}
		}
		conditions, _, _ = strings.Cut(conditions, ")")
		for condition := range strings.SplitSeq(conditions, ",") {
			defineCondition(&stage, strings.Fields(condition))
		}
		def.Stages = append(def.Stages, stage)
	}
	return def
}

func defineAction(word string, order int) pipeline.Action {
	id := typeAttempt
	switch word[0] {
	case '?':
		id = typeApproval
	case '~':
		id = typeTurn
	case '!':
		id.Provider = "Nobody"
	}
	name, from, takes := strings.Cut(strings.TrimLeft(word, "?~!"), "<")
	name, retry := strings.CutSuffix(name, "*")
	a := pipeline.Action{
		Name: name, Category: id.Category, Owner: id.Owner, Provider: id.Provider, Version: id.Version, RunOrder: order,
	}
	if retry {
		a.OnLost = pipeline.OnLostRetry
	}
	a.Namespace = "n-" + name
	if word[0] != '?' {
		a.OutputArtifacts = []pipeline.OutputArtifact{{Name: "out-" + name}}
	}
	if takes {
		a.Configuration = map[string]string{"from": "#{n-" + from + ".k}"}
		a.InputArtifacts = []string{"out-" + from}
	}
	return a
}

func defineCondition(stage *pipeline.Stage, words []string) {
	if len(words) == 0 {
		return
	}
	kind, words := words[0], words[1:]
	if kind == "skip" {
		stage.OnRollback = pipeline.OnRollback{
			SkipConditions: slices.Contains(words, "conditions"), SkipApprovals: slices.Contains(words, "approvals"),
		}
		return
	}
	if kind == "failure" {
		stage.OnFailure = &pipeline.OnFailure{}
		if words[0] == "retry" {
			stage.OnFailure.Result, words = pipeline.ResultRetry, words[1:]
			if len(words) > 0 && words[0] == "all" {
				stage.OnFailure.RetryMode, words = pipeline.RetryAllActions, words[1:]
			}
		} else if len(words) == 1 {
			stage.OnFailure.Result, words = pipeline.Result(strings.ToUpper(words[0])), nil
		}
		if len(words) == 0 {
			return
		}
	}
	last := len(words) - 1
	condition := &pipeline.Condition{Result: pipeline.Result(strings.ToUpper(words[last]))}
	for i, word := range words[:last] {
		condition.Rules = append(condition.Rules, defineRule(word, i))
	}
	switch kind {
	case "before":
		stage.BeforeEntry = condition
	case "success":
		stage.OnSuccess = condition
	default:
		stage.OnFailure.Condition = condition
	}
}

func defineRule(word string, i int) pipeline.Rule {
	rule := pipeline.Rule{Name: fmt.Sprintf("r%d", i), Version: "1"}
	variable, value, equals := strings.Cut(word, "=")
	switch {
	case word == "nobody":
		rule.Provider = "Nobody"
	case word == "never":
		rule.Provider = ruleWindow
		rule.Configuration = map[string]string{"Cron": "* * * ? * * 2020"}
	case word[0] == '$':
		rule.Name, rule.Provider, rule.Commands = word[1:], ruleCommands, []string{"true"}
	case word[0] == '~':
		rule.Name, rule.Provider = word[1:], rulePoll
	case equals:
		rule.Provider = ruleVariable
		rule.Configuration = map[string]string{"Variable": "#{variables." + variable + "}", "Operator": "EQ", "Value": value}
	default:
		hours, minutes, limited := strings.Cut(word[1:], "/")
		rule.Provider = ruleWindow
		rule.Configuration = map[string]string{"Cron": "* * " + hours + " ? * MON-FRI"}
		if limited {
			rule.TimeoutInMinutes, _ = strconv.Atoi(minutes)
		}
	}
	return rule
}

// requirement reads an approval rule that anybody counts for: "2", "1 supersede",
// "1 3h".
func requirement(words []string) execution.Requirement {
	r := execution.Requirement{Rule: "r", AllowStarter: true}
	for _, word := range words {
		if n, err := strconv.Atoi(word); err == nil {
			r.MinimumCount = n
		} else if word == "supersede" {
			r.Supersede = true
		} else {
			r.ExpireAfter, _ = time.ParseDuration(word)
		}
	}
	return r
}
